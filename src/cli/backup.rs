//! `signpost backup` and `signpost restore`

use std::path::Path;

use secrecy::ExposeSecret;

use super::CliResult;
use super::operator::{Concerned, Global, local_actor};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::Restored;
use crate::sessions;
use signpost_core::{Clock, Random};

pub(super) async fn back_up(global: &Global, file: &Path) -> CliResult {
    let session = global.open(None, Concerned::All).await?;
    let size = session.state.db.back_up(file).await?;
    outln!("{}: {size} bytes", file.display());
    outln!("Keep a copy of the key files (secrets.keys) elsewhere: they open the secrets in this backup.");
    Ok(())
}

pub(super) async fn restore(global: &Global, file: &Path) -> CliResult {
    let settings = super::load(&global.config)?;
    let url = settings.database.url.reveal().map_err(anyhow::Error::msg)?;
    let now = Clock::System.now();
    let actor = ActorContext::new(local_actor()?, &Clock::System, &Random::system());
    let restored = Restored::prepare(file, url.expose_secret()).await?;
    let mut tx = restored.db.begin().await?;
    // Sessions that ended after the backup would live again.
    let ended = sessions::end_all(&mut tx, now).await?;
    let event = AuditEvent::new(Action::DatabaseRestored).with("file", file.display().to_string());
    actor.record(&mut tx, event.with("sessions", ended)).await?;
    tx.commit().await?;
    let kept = restored.replace(&format!("replaced-{}", now.millis())).await?;
    outln!("The database is the one of {}. All {ended} sessions of browsers and staff are ended.", file.display());
    if let Some(kept) = kept {
        outln!("The earlier database is kept: {}", kept.display());
    }
    outln!(
        "Changes after the backup are gone. API keys that were revoked after it are valid again: see `signpost keys list`."
    );
    Ok(())
}
