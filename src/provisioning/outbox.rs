//! The worker of the outbox: brings changes of users to their pools, each user's in order, and tries again what failed.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Provisioning, ProvisioningError, PushError};
use crate::directory::LeasedUserChange;
use crate::secureauth::management::{CallError, Management};

/// How often a worker without work looks for some.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const INITIAL_BACKOFF: Duration = Duration::from_secs(2);
const MAX_BACKOFF: Duration = Duration::from_secs(15 * 60);

impl Provisioning {
    /// Brings changes that are due to SecureAuth, a few at once; answers how many were taken up.
    ///
    /// # Errors
    /// The database failed.
    pub async fn deliver(&self) -> Result<usize, ProvisioningError> {
        let Some(management) = &self.management else { return Ok(0) };
        // The table is what waits, not the call.
        let management = management.interactive();
        let changes = self.directory.lease_user_changes(self.clock.now(), self.lease, &self.random).await?;
        let done = join_all(changes.iter().map(|change| self.deliver_one(&management, change))).await;
        done.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(changes.len())
    }

    /// Brings changes as they come, for ever.
    pub async fn run_outbox_worker(&self) {
        loop {
            match self.deliver().await {
                Ok(0) => tokio::time::sleep(POLL_INTERVAL).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "changes of users cannot be looked for");
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    async fn deliver_one(&self, management: &Management, change: &LeasedUserChange) -> Result<(), ProvisioningError> {
        let billers = self.directory.billers().await?;
        let (Some(biller), Some(user_pool)) = (billers.by_id(&change.biller), self.user_pool(&change.biller).await?)
        else {
            // Whoever registered it keeps its users as well.
            return Ok(self.directory.discard_user_changes(&change.biller).await?);
        };
        // Nobody works on for longer than the change is ours.
        let push = tokio::time::timeout(self.lease, self.push_user(management, (biller, &user_pool), &change.user));
        let problem = match push.await {
            Ok(Ok(())) => return Ok(self.directory.complete_user_change(change).await?),
            Ok(Err(PushError::Db(error))) => return Err(error.into()),
            Ok(Err(error)) => error,
            Err(_) => CallError::OutcomeUnknown("timeout").into(),
        };
        let attempts = u32::try_from(change.attempts).unwrap_or(u32::MAX);
        let wait = (INITIAL_BACKOFF * 2_u32.saturating_pow(attempts.min(16))).min(MAX_BACKOFF);
        tracing::warn!(biller = %biller.slug, user = %change.user, error = %problem, "a change of a user did not arrive");
        let due = self.clock.now().plus(wait);
        Ok(self.directory.reschedule_user_change(change, due, &problem.to_string()).await?)
    }
}
