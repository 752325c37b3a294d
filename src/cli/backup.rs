//! `signpost backup` and `signpost restore`

use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;

use super::CliResult;
use super::operator::{Concerned, Global, local_actor};
use super::output::{Confirmation, Output};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::Restored;
use crate::sessions;
use signpost_core::{Clock, Random};

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The new file
    file: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// A file that `backup` has written
    file: PathBuf,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn back_up(global: &Global, Backup { file, output }: Backup) -> CliResult {
    let session = global.open(None, Concerned::All).await?;
    let size = session.state.db.back_up(&file).await?;
    output.print(&json!({ "file": file, "bytes": size }), || {
        outln!("{}: {size} bytes", file.display());
        outln!("Keep a copy of the key files (secrets.keys) elsewhere: they open the secrets in this backup.");
    })
}

pub(super) async fn restore(global: &Global, Restore { file, confirmation, output }: Restore) -> CliResult {
    let settings = super::load(&global.config)?;
    let url = settings.database.url.reveal().map_err(anyhow::Error::msg)?;
    let now = Clock::System.now();
    let actor = ActorContext::new(local_actor()?, &Clock::System, &Random::system());
    let restored = Restored::prepare(&file, url.expose_secret()).await?;
    confirmation.require(&format!("Replacing the database by {} and ending all sessions", file.display()))?;
    let mut tx = restored.db.begin().await?;
    // Sessions that ended after the backup would live again.
    let ended = sessions::end_all(&mut tx, now).await?;
    let event = AuditEvent::new(Action::DatabaseRestored).with("file", file.display().to_string());
    actor.record(&mut tx, event.with("sessions", ended)).await?;
    tx.commit().await?;
    let kept = restored.replace(&format!("replaced-{}", now.millis())).await?;
    output.print(&json!({ "file": file, "sessions_ended": ended, "kept": kept }), || {
        outln!("The database is the one of {}. All {ended} sessions of browsers and staff are ended.", file.display());
        if let Some(kept) = &kept {
            outln!("The earlier database is kept: {}", kept.display());
        }
        outln!(
            "Changes after the backup are gone. API keys that were revoked after it are valid again: see `signpost keys list`."
        );
    })
}
