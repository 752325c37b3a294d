//! Pending approvals (four-eyes changes): changes of where a migrated biller's users sign in, that is of issuer, client, endpoint
//! hosts, sign-in address and portal. Every way of changing a biller leads here.

use serde::{Deserialize, Serialize};

use super::biller::Biller;
use super::oidc::{BindTo, ClientSecrets, OidcSettings};
use super::store;
use crate::audit::{Action, Actor, ActorContext, AuditEvent};
use crate::db::{DbError, Row, Sql, Tx};
use crate::directory::error::corrupt;
use crate::directory::{Directory, DirectoryError};
use crate::{sql, values};
use signpost_core::decision::CiamState;
use signpost_core::{BillerId, Timestamp, ids};

const INSERT: Sql = sql!(
    "INSERT INTO pending_change (id, biller_id, summary, change, requested_by, principal, requested_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)"
);
const OPEN: Sql = sql!(
    "SELECT id, biller_id, summary, change, requested_by, principal, requested_at FROM pending_change \
     WHERE decided_at IS NULL ORDER BY requested_at, id"
);
const BY_ID: Sql = sql!(
    "SELECT id, biller_id, summary, change, requested_by, principal, requested_at FROM pending_change WHERE id = $1"
);
/// Only one of two concurrent decisions counts. The requester may withdraw the change, and can never approve it, nor can a key or
/// member of staff with the same principal, nor a key that was created after the request.
const DECIDE: Sql = sql!(
    "UPDATE pending_change SET decided_by = $2, decided_at = $3, outcome = $4 \
     WHERE id = $1 AND decided_at IS NULL AND ($4 = 'rejected' OR (principal <> $5 AND requested_at > $6))"
);

/// The part of a change that needs an approval.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ProposedChange {
    oidc: Option<(OidcSettings, ClientSecrets)>,
    hosts: Option<Vec<String>>,
    #[serde(default)]
    portal: Option<ProposedPortal>,
}

/// Where handoffs of a biller go; none: to the shared address.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ProposedPortal {
    url: Option<String>,
}

/// A change that needs an approval.
#[derive(Clone, Debug)]
pub struct PendingChange {
    pub id: String,
    pub biller_id: BillerId,
    /// Describes the change.
    pub summary: String,
    pub requested_by: String,
    pub principal: String,
    pub requested_at: Timestamp,
    change: ProposedChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalOutcome {
    /// The change is approved or rejected.
    Done,
    /// No pending change has this id.
    NotFound,
    Refused(ApprovalRefusal),
    /// Another biller has one of the hosts by now.
    HostTaken,
}

/// Why an actor cannot approve a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRefusal {
    #[error(
        "its requester, {requested_by}, and its approver, {approver}, both act for {principal}; another person must approve it, \
         in the console or with a key created for them before the request (`signpost keys create --for NAME`)"
    )]
    SamePrincipal { requested_by: String, approver: String, principal: String },
    #[error(
        "it was requested at {requested_at}, and the approver's key was created at {created_at}; a key approves only changes \
         requested after its creation, so approve with an older key, or reject the change and request it again"
    )]
    KeyTooNew { requested_at: Timestamp, created_at: Timestamp },
}

impl PendingChange {
    fn refusal(self, approver: &Actor) -> Option<ApprovalRefusal> {
        let Self { requested_by, principal, requested_at, .. } = self;
        if principal == approver.principal() {
            return Some(ApprovalRefusal::SamePrincipal { requested_by, approver: approver.identity(), principal });
        }
        let created_at = approver.key_created_at().filter(|created_at| requested_at <= *created_at)?;
        Some(ApprovalRefusal::KeyTooNew { requested_at, created_at })
    }
}

/// Takes out of a change, and returns, what needs an approval.
pub(super) fn extract_proposal(before: &Biller, after: &mut Biller) -> Option<ProposedChange> {
    if !matches!(before.state, CiamState::Active | CiamState::Suspended) {
        return None;
    }
    let mut change = ProposedChange::default();
    let (old, new) = (before.settings.oidc.as_ref(), after.settings.oidc.as_ref());
    if old.map(OidcSettings::endpoint) != new.map(OidcSettings::endpoint) {
        let oidc = std::mem::replace(&mut after.settings.oidc, before.settings.oidc.clone());
        let secrets = std::mem::replace(&mut after.client_secrets, before.client_secrets.clone());
        change.oidc = oidc.map(|oidc| (oidc, secrets));
        after.pinned_iss.clone_from(&before.pinned_iss);
    }
    if before.hosts != after.hosts {
        change.hosts = Some(std::mem::replace(&mut after.hosts, before.hosts.clone()));
    }
    if before.settings.portal_url != after.settings.portal_url {
        let url = std::mem::replace(&mut after.settings.portal_url, before.settings.portal_url.clone());
        change.portal = Some(ProposedPortal { url });
    }
    (change.oidc.is_some() || change.hosts.is_some() || change.portal.is_some()).then_some(change)
}

pub(super) async fn insert(
    tx: &mut Tx,
    biller: &Biller,
    change: &ProposedChange,
    actor: &ActorContext,
) -> Result<(), DirectoryError> {
    let now = actor.now();
    let text = serde_json::to_string(change).map_err(|error| corrupt(&error.to_string()))?;
    let summary = change.summary(biller);
    let id = ids::uuid_v7(now, actor.random());
    let event = AuditEvent::new(Action::ChangeRequested).at(&biller.slug).about(&id).with("summary", summary.as_str());
    let values = values![id, biller.id.as_str(), summary, text, actor.actor.identity(), actor.actor.principal(), now];
    tx.run(INSERT, values).await?;
    Ok(actor.record(tx, event).await?)
}

impl ProposedChange {
    fn summary(&self, biller: &Biller) -> String {
        let mut parts = Vec::new();
        if let Some((oidc, _)) = &self.oidc {
            let before = biller.settings.oidc.as_ref().map_or("none", |oidc| oidc.issuer.as_str());
            parts.push(format!("issuer {before} → {} (client {})", oidc.issuer, oidc.client_id));
            let binding = |oidc: &OidcSettings| match oidc.bind_to {
                BindTo::Username => format!("{} (username)", oidc.bind_claim),
                BindTo::UserId => format!("{} (user id)", oidc.bind_claim),
            };
            let before = biller.settings.oidc.as_ref().map_or_else(|| "none".to_owned(), binding);
            if before != binding(oidc) {
                parts.push(format!("users identified by {before} → {}", binding(oidc)));
            }
        }
        if let Some(hosts) = &self.hosts {
            parts.push(format!("hosts [{}] → [{}]", biller.hosts.join(", "), hosts.join(", ")));
        }
        if let Some(ProposedPortal { url }) = &self.portal {
            let name = |url: Option<&String>| url.map_or("shared", String::as_str).to_owned();
            parts.push(format!("portal {} → {}", name(biller.settings.portal_url.as_ref()), name(url.as_ref())));
        }
        parts.join("; ")
    }
}

impl Directory {
    /// Oldest first.
    pub async fn pending_changes(&self) -> Result<Vec<PendingChange>, DirectoryError> {
        self.db.all(OPEN, values![]).await?.iter().map(read).collect()
    }

    /// Approves a change and applies it, or rejects it.
    pub async fn decide_change(
        &self,
        id: &str,
        approve: bool,
        actor: &ActorContext,
    ) -> Result<ApprovalOutcome, DirectoryError> {
        let (who, now) = (actor.actor.identity(), actor.now());
        let mut tx = self.db.begin().await?;
        let outcome = if approve { "approved" } else { "rejected" };
        let key_created_at = actor.actor.key_created_at().unwrap_or(Timestamp::from_millis(0));
        let values = values![id, &who, now, outcome, actor.actor.principal(), key_created_at];
        let decided = tx.run(DECIDE, values).await?;
        let Some(row) = tx.one(BY_ID, values![id]).await? else { return Ok(ApprovalOutcome::NotFound) };
        let pending = read(&row)?;
        if decided == 0 {
            let refusal = if approve { pending.refusal(&actor.actor) } else { None };
            return Ok(refusal.map_or(ApprovalOutcome::NotFound, ApprovalOutcome::Refused));
        }
        let known = store::load_billers_in(&mut tx).await?;
        let Some(biller) = known.by_id(&pending.biller_id) else { return Ok(ApprovalOutcome::NotFound) };
        let action = if approve { Action::ChangeApproved } else { Action::ChangeRejected };
        let event = AuditEvent::new(action).about(id).with("summary", pending.summary.as_str());
        if approve {
            if pending.change.oidc.is_some() {
                store::drop_iss_pin(&mut tx, biller).await?;
            }
            let ProposedChange { oidc, hosts, portal } = pending.change;
            let changed = self.update_biller_in(&mut tx, &biller.slug, (actor, event), |biller| {
                if let Some((oidc, secrets)) = oidc {
                    biller.settings.oidc = Some(oidc);
                    biller.client_secrets = secrets;
                }
                if let Some(hosts) = hosts {
                    biller.hosts = hosts;
                }
                if let Some(ProposedPortal { url }) = portal {
                    biller.settings.portal_url = url;
                }
            });
            match changed.await {
                Err(DirectoryError::Db(DbError::Conflict(_))) => return Ok(ApprovalOutcome::HostTaken),
                other => other?,
            };
        } else {
            actor.record(&mut tx, event.at(&biller.slug)).await?;
        }
        tx.commit().await?;
        tracing::warn!(change = id, who, outcome, summary = pending.summary, "a pending change was decided");
        Ok(ApprovalOutcome::Done)
    }
}

fn read(row: &Row) -> Result<PendingChange, DirectoryError> {
    Ok(PendingChange {
        id: row.text("id")?,
        biller_id: BillerId::from_stored(row.text("biller_id")?),
        summary: row.text("summary")?,
        change: serde_json::from_str(&row.text("change")?).map_err(|error| corrupt(&error.to_string()))?,
        requested_by: row.text("requested_by")?,
        principal: row.text("principal")?,
        requested_at: row.time("requested_at")?,
    })
}
