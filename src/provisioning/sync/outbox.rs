//! The outbox worker: pushes changes of users to SecureAuth and retries failed pushes.

use futures_util::future::join_all;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::PushError;
use crate::directory::{Biller, LeasedUserChange};
use crate::provisioning::{Provisioning, ProvisioningError};
use crate::queue::{RetryPolicy, run_worker};
use crate::secureauth::management::{CallError, Management};
use crate::telemetry::Condition;
use crate::telemetry::traces::NewSpan;
use signpost_core::decision::CiamState;

const RETRY_POLICY: RetryPolicy =
    RetryPolicy { initial_delay: Duration::from_secs(2), max_delay: Duration::from_secs(15 * 60), give_up_after: None };

impl Provisioning {
    /// Pushes a few changes that are due, concurrently. Returns how many it claimed.
    pub async fn deliver(&self) -> Result<usize, ProvisioningError> {
        let Some(management) = &self.management else { return Ok(0) };
        // The row waits for a retry, not the call.
        let management = management.interactive();
        let changes = self.user_changes.claim().await?;
        let done = join_all(changes.iter().map(|change| self.deliver_one(&management, change))).await;
        done.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(changes.len())
    }

    /// Pushes changes until `stop`; claimed changes finish first.
    pub async fn run_outbox_worker(current: impl Fn() -> Self, stop: CancellationToken) {
        let never = Notify::new();
        let step = || {
            let provisioning = current();
            async move { provisioning.deliver().await.map(|claimed| claimed > 0) }
        };
        run_worker(("user_changes", &Condition::new()), &stop, &never, step).await;
    }

    async fn deliver_one(&self, management: &Management, change: &LeasedUserChange) -> Result<(), ProvisioningError> {
        let is_managed = |biller: &Biller| biller.state != CiamState::Legacy;
        let mut billers = self.directory.billers().await?;
        if !billers.by_id(&change.biller).is_some_and(|biller| is_managed(biller)) {
            // Another process may have enabled it a moment ago: the change must not be discarded for that.
            billers = self.directory.refresh().await?;
        }
        let biller = billers.by_id(&change.biller).filter(|biller| is_managed(biller));
        let (Some(biller), Some(user_pool)) = (biller, self.user_pool(&change.biller).await?) else {
            // The biller is legacy again, or another system manages its users.
            return Ok(self.directory.discard_user_changes(&change.biller).await?);
        };
        // The push ends with the lease.
        let span = tracing::error_span!("push", biller = biller.slug.as_str(), user = %change.user, attempts = change.attempts);
        let push = self.push_user(management, (biller, &user_pool), &change.user).instrument(span.clone());
        let trace = || NewSpan::step("push").with("signpost.biller", biller.slug.as_str().to_owned());
        let problem = match tokio::time::timeout(self.lease_time, self.traces.task(trace, push)).await {
            Ok(Ok(())) => return Ok(self.user_changes.complete(change).await?),
            Ok(Err(PushError::Db(error))) => return Err(error.into()),
            Ok(Err(error)) => error,
            Err(_) => CallError::OutcomeUnknown("timeout").into(),
        };
        span.in_scope(|| tracing::warn!(error = %problem, "a change of a user was not pushed"));
        let now = self.clock.now();
        let due = RETRY_POLICY.next_attempt(change.attempts, (change.queued_at, now), &self.random).unwrap_or(now);
        Ok(self.user_changes.reschedule(change, due, &problem.to_string()).await?)
    }
}
