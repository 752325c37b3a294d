//! The worker: takes tasks up and does them. What cannot be done now waits longer each time, and is given up in the end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Mail, QueuedTask, queue};
use crate::db::DbError;
use crate::directory::DirectoryError;
use crate::provisioning::ProvisioningError;
use crate::secureauth::management::CallError;

/// A task that takes longer is put off; less than [`queue::LEASE`], so that nobody else is at it meanwhile.
const TASK_TIMEOUT: Duration = Duration::from_secs(25);
/// How often workers look. They are not told of new rows: what an answer's work costs must not follow it in time.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const WORKERS: usize = 4;
const INITIAL_BACKOFF: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_secs(30 * 60);
const _: () = assert!(TASK_TIMEOUT.as_secs() < queue::LEASE.as_secs());

/// Why a task is not done, in words without a name or an address.
#[derive(Debug)]
pub(super) enum TaskError {
    /// It may work later.
    Retry(String),
    /// It will not.
    Permanent(String),
}

impl From<DirectoryError> for TaskError {
    fn from(error: DirectoryError) -> Self {
        Self::Retry(error.to_string())
    }
}

impl From<ProvisioningError> for TaskError {
    fn from(error: ProvisioningError) -> Self {
        match error {
            ProvisioningError::Call(CallError::Rejected(rejection)) => {
                Self::Permanent(format!("secureauth {} {}", rejection.status, rejection.code))
            }
            ProvisioningError::Call(_) | ProvisioningError::Directory(_) => Self::Retry(error.to_string()),
            _ => Self::Permanent(error.to_string()),
        }
    }
}

impl Mail {
    /// Does tasks as they come, until `stop`; those under way are finished.
    pub async fn run_workers(&self, stop: CancellationToken) {
        futures_util::future::join_all((0..WORKERS).map(|_| self.run_worker(&stop))).await;
    }

    async fn run_worker(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.run_next_task().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %error, "tasks cannot be looked for"),
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Does one task that is due; answers whether there was one.
    ///
    /// # Errors
    /// The database failed; the task comes back.
    pub async fn run_next_task(&self) -> Result<bool, DbError> {
        let Some(leased) = self.queue.lease_next(self.clock.now()).await? else { return Ok(false) };
        let (id, attempts) = (leased.id.as_str(), leased.attempts);
        let Some(task) = &leased.task else {
            tracing::error!(task = id, "a task was sealed under a key that is gone");
            self.queue.complete(&leased, &[], self.clock.now()).await?;
            return Ok(true);
        };
        let done = tokio::time::timeout(TASK_TIMEOUT, self.perform(id, task)).await;
        let now = self.clock.now();
        match done.unwrap_or_else(|_| Err(TaskError::Retry("took too long".to_owned()))) {
            Ok(next) => self.queue.complete(&leased, &next, now).await?,
            Err(TaskError::Retry(reason)) if now < leased.created_at.plus(self.give_up_after) => {
                tracing::info!(task = id, kind = task.kind(), attempts, reason, "a task is put off");
                self.queue.reschedule(&leased, now.plus(backoff(attempts))).await?;
            }
            Err(TaskError::Retry(reason) | TaskError::Permanent(reason)) => {
                tracing::warn!(task = id, kind = task.kind(), attempts, reason, "a task is given up");
                self.queue.complete(&leased, &[], now).await?;
            }
        }
        Ok(true)
    }

    /// Does the work; answers what follows from it.
    async fn perform(&self, id: &str, task: &QueuedTask) -> Result<Vec<QueuedTask>, TaskError> {
        match task {
            QueuedTask::SignInLinks { input, locale } => self.sign_in_links(input, *locale).await,
            QueuedTask::PasswordReset { input, slug, locale } => {
                self.reset_password(input, slug.as_ref(), *locale).await
            }
            QueuedTask::SecureauthReset(account) => self.secureauth_reset(account).await.map(|()| Vec::new()),
            QueuedTask::Email(email) => match &self.transport {
                Some(transport) => transport.send(id, email).await.map(|()| Vec::new()),
                None => Err(TaskError::Permanent("no mail server".to_owned())),
            },
        }
    }
}

fn backoff(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 7) - 1).unwrap_or(0);
    (INITIAL_BACKOFF * 2_u32.pow(doublings)).min(MAX_BACKOFF)
}
