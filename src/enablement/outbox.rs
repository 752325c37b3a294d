//! The worker of the outbox: brings changes of users to their pools, each user's in order, and tries again what failed.

use std::time::Duration;

use futures_util::future::join_all;

use super::{BringError, EnableError, Enablement};
use crate::directory::UserMark;
use crate::secureauth::management::{CallError, Management};

/// How often a worker without work looks for some.
const POLL_EVERY: Duration = Duration::from_millis(500);
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

impl Enablement {
    /// Brings changes that are due to SecureAuth, a few at once; answers how many were taken up.
    ///
    /// # Errors
    /// The database failed.
    pub async fn deliver(&self) -> Result<usize, EnableError> {
        let Some(management) = &self.management else { return Ok(0) };
        // The table is what waits, not the call.
        let management = management.in_a_hurry();
        let changes = self.directory.take_marks(self.clock.now(), self.lease, &self.random).await?;
        let done = join_all(changes.iter().map(|change| self.deliver_one(&management, change))).await;
        done.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(changes.len())
    }

    /// Brings changes as they come, for ever.
    pub async fn keep_delivering(&self) {
        loop {
            match self.deliver().await {
                Ok(0) => tokio::time::sleep(POLL_EVERY).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "changes of users cannot be looked for");
                    tokio::time::sleep(POLL_EVERY).await;
                }
            }
        }
    }

    async fn deliver_one(&self, management: &Management, change: &UserMark) -> Result<(), EnableError> {
        let billers = self.directory.billers().await?;
        let (Some(biller), Some(home)) = (billers.by_id(&change.biller), self.home(&change.biller).await?) else {
            // Whoever registered it keeps its users as well.
            return Ok(self.directory.forget_marks(&change.biller).await?);
        };
        // Nobody works on for longer than the change is ours.
        let bringing = tokio::time::timeout(self.lease, self.bring(management, (biller, &home), &change.user));
        let problem = match bringing.await {
            Ok(Ok(())) => return Ok(self.directory.mark_arrived(change).await?),
            Ok(Err(BringError::Db(error))) => return Err(error.into()),
            Ok(Err(error)) => error,
            Err(_) => CallError::Unknown("timeout").into(),
        };
        let tries = u32::try_from(change.tries).unwrap_or(u32::MAX);
        let wait = (FIRST_WAIT * 2_u32.saturating_pow(tries.min(16))).min(LONGEST_WAIT);
        tracing::warn!(biller = %biller.slug, user = %change.user, error = %problem, "a change of a user did not arrive");
        let due = self.clock.now().plus(wait);
        Ok(self.directory.postpone_mark(change, due, &problem.to_string()).await?)
    }
}
