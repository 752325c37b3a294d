//! `signpost billers pending|approve|reject|send-login-url|settings`

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::CliResult;
use crate::directory::ApprovalOutcome;
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

pub(super) async fn run(config: &Path, arguments: Arguments) -> CliResult {
    let state = super::open(config).await?.state;
    let (id, approve) = match arguments {
        Arguments::Pending => {
            let billers = state.directory.billers().await?;
            let changes = state.directory.pending_changes().await?;
            if changes.is_empty() {
                eprintln!("no pending approvals");
            }
            for change in changes {
                let biller = billers.by_id(&change.biller_id).map_or("", |biller| biller.slug.as_str());
                outln!(
                    "{}  {biller}  {}  requested by {} at {}",
                    change.id,
                    change.summary,
                    change.requested_by,
                    change.requested_at
                );
            }
            return Ok(());
        }
        Arguments::SendLoginUrl { slug, locale } => {
            let Some(biller) = state.directory.biller_by_slug(&slug).await? else { bail!("there is no biller {slug}") };
            let to = state.mail.send_login_address(&biller, locale, &super::actor_context(&state)?).await?;
            outln!("queued: `signpost serve` sends it to {to}");
            return Ok(());
        }
        Arguments::Settings { slug, sync } => {
            if sync {
                state.provisioning.sync_settings(&slug, &super::actor_context(&state)?).await?;
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
    match state.directory.decide_change(&id, approve, &super::actor_context(&state)?).await? {
        ApprovalOutcome::Done => {
            outln!("{}", if approve { "approved" } else { "rejected" })
        }
        ApprovalOutcome::NotFound => bail!("no pending change has the id {id}"),
        ApprovalOutcome::Refused(refusal) => bail!("you cannot approve the change: {refusal}"),
        ApprovalOutcome::HostTaken => bail!("one of its hosts now belongs to another biller; nothing was changed"),
    }
    Ok(())
}

fn language(text: &str) -> Result<Locale, String> {
    Locale::from_tag(text).ok_or_else(|| "expected en or es".to_owned())
}

/// The operating system account: the owner of this process, or the account that called sudo. No option overrides it.
pub(super) fn os_account() -> Result<String, anyhow::Error> {
    let uid = std::fs::metadata("/proc/self").context("cannot read /proc")?.uid();
    let sudo = std::env::vars().find(|(name, _)| name == "SUDO_UID" && uid == 0).map(|(_, value)| value);
    let uid = sudo.unwrap_or_else(|| uid.to_string());
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    Ok(named.unwrap_or(uid))
}
