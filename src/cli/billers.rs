//! `signpost billers pending|confirm|decline|mail-address|settings`: changes that wait for a second person; the contact of a
//! biller, and its settings at SecureAuth.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::Done;
use crate::directory::Decided;
use signpost_core::{Locale, Slug};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// List changes that wait for a second person.
    Pending,
    /// Make a change that somebody else asked for.
    Confirm {
        /// Its id.
        id: String,
    },
    /// Mail a moved biller's contact the address at which its people sign in.
    MailAddress {
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
        bring: bool,
    },
    /// Decline a change, or take back one's own.
    Decline {
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(config: &Path, arguments: Arguments) -> Done {
    let state = super::open(config).await?.state;
    let (id, confirm) = match arguments {
        Arguments::Pending => {
            let billers = state.directory.billers().await?;
            let changes = state.directory.pending_changes().await?;
            if changes.is_empty() {
                eprintln!("no change waits for a second person");
            }
            for change in changes {
                let biller = billers.by_id(&change.biller_id).map_or("", |biller| biller.slug.as_str());
                say!(
                    "{}  {biller}  {}  asked by {} at {}",
                    change.id,
                    change.summary,
                    change.asked_by,
                    change.asked_at
                );
            }
            return Ok(());
        }
        Arguments::MailAddress { slug, locale } => {
            let Some(biller) = state.directory.named(&slug).await? else { bail!("there is no biller {slug}") };
            let to = state.mail.tell_login_address(&biller, locale, &super::by(&state)?).await?;
            say!("queued: `signpost serve` sends it to {to}");
            return Ok(());
        }
        Arguments::Settings { slug, bring } => {
            if bring {
                state.enablement.bring_settings(&slug, &super::by(&state)?).await?;
            }
            let Some(biller) = state.directory.named(&slug).await? else { bail!("there is no biller {slug}") };
            let kept = state.enablement.kept_settings(&biller).await?;
            for line in &kept {
                let ours = line.ours.as_deref().unwrap_or("left to SecureAuth");
                let mark = if line.is_kept() { "same " } else { "DRIFT" };
                say!("{mark}  {}: here {ours}, there {}", line.name, line.theirs);
            }
            if kept.iter().any(|line| !line.is_kept()) {
                bail!("SecureAuth has other settings: `signpost billers settings {slug} --bring` brings ours there");
            }
            return Ok(());
        }
        Arguments::Confirm { id } => (id, true),
        Arguments::Decline { id } => (id, false),
    };
    match state.directory.decide_change(&id, confirm, &super::by(&state)?).await? {
        Decided::Done => say!("{}", if confirm { "confirmed: the next request follows it" } else { "declined" }),
        Decided::Unknown => bail!("no change with the id {id} waits"),
        Decided::SamePerson => bail!("you asked for it yourself: somebody else has to confirm it"),
        Decided::HostTaken => bail!("one of its hosts is another biller's by now; nothing was changed"),
    }
    Ok(())
}

fn language(text: &str) -> Result<Locale, String> {
    Locale::from_tag(text).ok_or_else(|| "expected en or es".to_owned())
}

/// Whose command it is: the owner of this process, or who became root by sudo. Not what an option says.
pub(super) fn account() -> Result<String, anyhow::Error> {
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
