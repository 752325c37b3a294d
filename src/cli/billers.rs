//! `signpost billers pending|approve|reject|send-login-url|settings`: changes that wait for a second person; the contact of a
//! biller, and its settings at SecureAuth.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::CliResult;
use crate::directory::ApprovalOutcome;
use signpost_core::{Locale, Slug};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// List changes that wait for a second person.
    Pending,
    /// Make a change that somebody else asked for.
    Approve {
        /// Its id.
        id: String,
    },
    /// Mail a moved biller's contact the address at which its people sign in.
    SendLoginUrl {
        /// The biller.
        slug: Slug,
        /// The mail's language: en or es.
        #[arg(long, default_value = "en", value_parser = language)]
        locale: Locale,
    },
    /// Show a moved biller's settings at SecureAuth beside ours.
    Settings {
        /// The biller.
        slug: Slug,
        /// Bring SecureAuth's in line with ours.
        #[arg(long)]
        sync: bool,
    },
    /// Decline a change, or take back one's own.
    Reject {
        /// Its id.
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
                eprintln!("no change waits for a second person");
            }
            for change in changes {
                let biller = billers.by_id(&change.biller_id).map_or("", |biller| biller.slug.as_str());
                outln!(
                    "{}  {biller}  {}  asked by {} at {}",
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
                let ours = line.expected.as_deref().unwrap_or("left to SecureAuth");
                let mark = if line.is_in_sync() { "same " } else { "DRIFT" };
                outln!("{mark}  {}: here {ours}, there {}", line.name, line.actual);
            }
            if kept.iter().any(|line| !line.is_in_sync()) {
                bail!("SecureAuth has other settings: `signpost billers settings {slug} --sync` applies ours");
            }
            return Ok(());
        }
        Arguments::Approve { id } => (id, true),
        Arguments::Reject { id } => (id, false),
    };
    match state.directory.decide_change(&id, approve, &super::actor_context(&state)?).await? {
        ApprovalOutcome::Done => {
            outln!("{}", if approve { "approved: the next request follows it" } else { "rejected" })
        }
        ApprovalOutcome::NotFound => bail!("no change with the id {id} waits"),
        ApprovalOutcome::RequesterCannotApprove => bail!("you asked for it yourself: somebody else has to approve it"),
        ApprovalOutcome::HostTaken => bail!("one of its hosts is another biller's by now; nothing was changed"),
    }
    Ok(())
}

fn language(text: &str) -> Result<Locale, String> {
    Locale::from_tag(text).ok_or_else(|| "expected en or es".to_owned())
}

/// Whose command it is: the owner of this process, or who became root by sudo. Not what an option says.
pub(super) fn os_account() -> Result<String, anyhow::Error> {
    let uid = std::fs::metadata("/proc/self").context("/proc cannot be read")?.uid();
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
