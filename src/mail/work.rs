//! The worker: takes errands up and does them. What cannot be done now waits longer each time, and is given up in the end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Errand, Mail, queue};
use crate::db::DbError;
use crate::directory::DirectoryError;
use crate::enablement::EnableError;
use crate::secureauth::management::CallError;

/// An errand that takes longer is put off; less than [`queue::LEASE`], so that nobody else is at it meanwhile.
const PATIENCE: Duration = Duration::from_secs(25);
/// How often workers look. They are not told of new rows: what an answer's work costs must not follow it in time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const WORKERS: usize = 4;
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);
const _: () = assert!(PATIENCE.as_secs() < queue::LEASE.as_secs());

/// Why an errand is not done, in words without a name or an address.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may work later.
    Later(String),
    /// It will not.
    Never(String),
}

impl From<DirectoryError> for Trouble {
    fn from(error: DirectoryError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<EnableError> for Trouble {
    fn from(error: EnableError) -> Self {
        match error {
            EnableError::Call(CallError::Refused(refusal)) => {
                Self::Never(format!("secureauth {} {}", refusal.status, refusal.code))
            }
            EnableError::Call(_) | EnableError::Directory(_) => Self::Later(error.to_string()),
            _ => Self::Never(error.to_string()),
        }
    }
}

impl Mail {
    /// Does errands as they come, until `stop`; those under way are finished.
    pub async fn keep_working(&self, stop: CancellationToken) {
        futures_util::future::join_all((0..WORKERS).map(|_| self.worker(&stop))).await;
    }

    async fn worker(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.work().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %error, "errands cannot be looked for"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Does one errand that is due; answers whether there was one.
    ///
    /// # Errors
    /// The database failed; the errand comes back.
    pub async fn work(&self) -> Result<bool, DbError> {
        let Some(taken) = self.queue.take(self.clock.now()).await? else { return Ok(false) };
        let (id, tries) = (taken.id.as_str(), taken.tries);
        let Some(errand) = &taken.errand else {
            tracing::error!(errand = id, "an errand was sealed under a key that is gone");
            self.queue.finish(&taken, &[], self.clock.now()).await?;
            return Ok(true);
        };
        let done = tokio::time::timeout(PATIENCE, self.perform(id, errand)).await;
        let now = self.clock.now();
        match done.unwrap_or_else(|_| Err(Trouble::Later("took too long".to_owned()))) {
            Ok(next) => self.queue.finish(&taken, &next, now).await?,
            Err(Trouble::Later(reason)) if now < taken.created_at.plus(self.give_up_after) => {
                tracing::info!(errand = id, kind = errand.kind(), tries, reason, "an errand is put off");
                self.queue.put_off(&taken, now.plus(wait(tries))).await?;
            }
            Err(Trouble::Later(reason) | Trouble::Never(reason)) => {
                tracing::warn!(errand = id, kind = errand.kind(), tries, reason, "an errand is given up");
                self.queue.finish(&taken, &[], now).await?;
            }
        }
        Ok(true)
    }

    /// Does the work; answers what follows from it.
    async fn perform(&self, id: &str, errand: &Errand) -> Result<Vec<Errand>, Trouble> {
        match errand {
            Errand::Links { typed, locale } => self.links(typed, *locale).await,
            Errand::Reset { typed, slug, locale } => self.reset(typed, slug.as_ref(), *locale).await,
            Errand::SecureauthReset(account) => self.secureauth_reset(account).await.map(|()| Vec::new()),
            Errand::Letter(letter) => match &self.transport {
                Some(transport) => transport.send(id, letter).await.map(|()| Vec::new()),
                None => Err(Trouble::Never("no mail server".to_owned())),
            },
        }
    }
}

fn wait(tries: i64) -> Duration {
    let doublings = u32::try_from(tries.clamp(1, 7) - 1).unwrap_or(0);
    (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT)
}
