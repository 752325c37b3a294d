//! `signpost billers pending|approve|reject|send-login-url|settings`

use anyhow::bail;
use clap::Subcommand;

use super::CliResult;
use super::operator::{Concerned, Global, Session};
use crate::access::Scope;
use crate::directory::{ApprovalOutcome, Billers, PendingChange};
use signpost_core::{Locale, Slug};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// List pending approvals
    Pending,
    /// Approve a change that another person requested
    Approve {
        /// Id of the change
        id: String,
    },
    /// Mail a biller's contact the login address of the biller
    SendLoginUrl {
        /// Slug of the biller
        slug: Slug,
        /// Language of the mail: en or es
        #[arg(long, default_value = "en", value_parser = language)]
        locale: Locale,
    },
    /// Compare a biller's settings with SecureAuth
    Settings {
        /// Slug of the biller
        slug: Slug,
        /// Apply our settings at SecureAuth
        #[arg(long)]
        sync: bool,
    },
    /// Reject a change, or withdraw your own
    Reject {
        /// Id of the change
        id: String,
    },
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    let (scope, concerned) = match &arguments {
        Arguments::Pending => (Some(Scope::BillersRead), Concerned::AsPermitted),
        Arguments::Approve { .. } | Arguments::Reject { .. } => (Some(Scope::BillersWrite), Concerned::AsPermitted),
        Arguments::SendLoginUrl { slug, .. } => (Some(Scope::BillersWrite), Concerned::One(slug)),
        Arguments::Settings { slug, .. } => (None, Concerned::One(slug)),
    };
    let session = global.open(scope, concerned).await?;
    let state = &session.state;
    let (id, approve) = match arguments {
        Arguments::Pending => {
            let billers = state.directory.billers().await?;
            let changes = pending_changes(&session, &billers).await?;
            if changes.is_empty() {
                eprintln!("no pending approvals");
            }
            for change in changes {
                let biller = billers.by_id(&change.biller_id).map_or("", |biller| biller.slug.as_str());
                outln!(
                    "{}  {biller}  {}  requested by {} for {} at {}",
                    change.id,
                    change.summary,
                    change.requested_by,
                    change.principal,
                    change.requested_at
                );
            }
            return Ok(());
        }
        Arguments::SendLoginUrl { slug, locale } => {
            let Some(biller) = state.directory.biller_by_slug(&slug).await? else { bail!("there is no biller {slug}") };
            let to = state.mail.send_login_address(&biller, locale, &session.actor()?).await?;
            outln!("queued: `signpost serve` sends it to {to}");
            return Ok(());
        }
        Arguments::Settings { slug, sync } => {
            if sync {
                state.provisioning.sync_settings(&slug, &session.actor()?).await?;
            }
            let Some(biller) = state.directory.biller_by_slug(&slug).await? else { bail!("there is no biller {slug}") };
            let kept = state.provisioning.remote_settings(&biller).await?;
            for line in &kept {
                let ours = line.expected.as_deref().unwrap_or("not set");
                let mark = if line.is_in_sync() { "same " } else { "DRIFT" };
                outln!("{mark}  {}: Signpost {ours}, SecureAuth {}", line.name, line.actual);
            }
            if kept.iter().any(|line| !line.is_in_sync()) {
                bail!("settings differ at SecureAuth; apply ours with `signpost billers settings {slug} --sync`");
            }
            return Ok(());
        }
        Arguments::Approve { id } => (id, true),
        Arguments::Reject { id } => (id, false),
    };
    let billers = state.directory.billers().await?;
    if !pending_changes(&session, &billers).await?.iter().any(|change| change.id == id) {
        bail!("no pending change has the id {id}; list them with `signpost billers pending`");
    }
    match state.directory.decide_change(&id, approve, &session.actor()?).await? {
        ApprovalOutcome::Done => {
            state.directory.wait_for_other_processes().await;
            outln!("{}", if approve { "approved" } else { "rejected" })
        }
        ApprovalOutcome::NotFound => bail!("the change {id} was decided in the meantime"),
        ApprovalOutcome::Refused(refusal) => bail!("you cannot approve the change: {refusal}"),
        ApprovalOutcome::HostTaken => bail!("one of its hosts now belongs to another biller; nothing was changed"),
    }
    Ok(())
}

/// The pending changes of billers that the operator may see.
async fn pending_changes(session: &Session, billers: &Billers) -> Result<Vec<PendingChange>, anyhow::Error> {
    let mut changes = session.state.directory.pending_changes().await?;
    if let Some(key) = session.key() {
        changes
            .retain(|change| billers.by_id(&change.biller_id).is_some_and(|biller| key.permits_biller(&biller.slug)));
    }
    Ok(changes)
}

fn language(text: &str) -> Result<Locale, String> {
    Locale::from_tag(text).ok_or_else(|| "expected en or es".to_owned())
}
