//! Changes by operators and jobs: one transaction each, effective from the next request here, and within half a second on other instances.

use serde_json::{Map, Value as Json, json};

use super::biller::Biller;
use super::store::{self, StoredSettings};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::{Sql, Tx};
use crate::directory::{Directory, DirectoryError};
use crate::{sql, values};
use signpost_core::Slug;
use signpost_core::decision::KillSwitchState;

const SET_CONTROL: Sql = sql!(
    "INSERT INTO operational_control (name, value, set_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at"
);

impl Directory {
    /// Updates a biller. Returns whether the biller exists.
    pub async fn update_biller(
        &self,
        slug: &Slug,
        (actor, action): (&ActorContext, Action),
        change: impl FnOnce(&mut Biller),
    ) -> Result<bool, DirectoryError> {
        let mut tx = self.db.begin().await?;
        let is_there = self.update_biller_in(&mut tx, slug, (actor, AuditEvent::new(action)), change).await?;
        tx.commit().await?;
        Ok(is_there)
    }

    /// Updates a biller within the caller's transaction, and adds the changes to the event.
    pub async fn update_biller_in(
        &self,
        tx: &mut Tx,
        slug: &Slug,
        (actor, event): (&ActorContext, AuditEvent),
        change: impl FnOnce(&mut Biller),
    ) -> Result<bool, DirectoryError> {
        self.bump(tx).await?;
        let known = store::load_billers_in(tx).await?;
        let Some(found) = known.by_slug(slug) else { return Ok(false) };
        let mut biller = (**found).clone();
        change(&mut biller);
        store::drop_hosts(tx, &biller).await?;
        store::upsert_biller(tx, &biller, actor.now()).await?;
        actor.record(tx, event.at(slug).with("changes", changes(Some(found), &biller))).await?;
        Ok(true)
    }

    /// Sets the kill switch of every instance.
    pub async fn set_kill_switch(&self, kill: &KillSwitchState, actor: &ActorContext) -> Result<(), DirectoryError> {
        let mut tx = self.db.begin().await?;
        self.bump(&mut tx).await?;
        tx.run(SET_CONTROL, values![store::KILL_SWITCH, kill.to_string(), actor.now()]).await?;
        let event = AuditEvent::new(Action::KillSwitchSet).with("value", kill.to_string());
        let event = if let KillSwitchState::BillerLegacy(slug) = kill { event.at(slug) } else { event };
        actor.record(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What changed about a biller: scalars and hosts as `[before, after]`, everything else as `"changed"`, so that neither secrets
/// nor usernames reach the audit trail.
pub(super) fn changes(before: Option<&Biller>, after: &Biller) -> Json {
    let (before, after) = (before.map(audited_fields).unwrap_or_default(), audited_fields(after));
    let mut changes = Map::new();
    for (name, value) in &after {
        let was = before.get(name).unwrap_or(&Json::Null);
        if was == value {
            continue;
        }
        let is_plain = |value: &Json| !value.is_array() && !value.is_object();
        let is_recorded = name == "hosts" || (is_plain(was) && is_plain(value));
        changes.insert(name.clone(), if is_recorded { json!([was, value]) } else { json!("changed") });
    }
    Json::Object(changes)
}

fn audited_fields(biller: &Biller) -> Map<String, Json> {
    let mut fields = match json!(StoredSettings::of(biller)) {
        Json::Object(settings) => settings,
        _ => Map::new(),
    };
    // A new secret is a change of the registration.
    let secrets = fields.remove("client_secrets");
    fields.insert("oidc".to_owned(), json!(biller.settings.oidc.as_ref().map(|oidc| json!([oidc, secrets]))));
    fields.remove("rollout");
    fields.insert("rollout_allow".to_owned(), json!(biller.settings.rollout.allow));
    fields.insert("rollout_percent".to_owned(), json!(biller.settings.rollout.percent));
    fields.insert("name".to_owned(), json!(biller.name));
    fields.insert("state".to_owned(), json!(biller.state));
    fields.insert("active_from".to_owned(), json!(biller.active_from.map(|at| at.to_string())));
    fields.insert("hosts".to_owned(), json!(biller.hosts));
    fields
}
