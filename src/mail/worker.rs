//! The workers of the task queue.

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::queue::LEASE_TIME;
use super::{Mail, QueuedTask, TaskError};
use crate::db::DbError;
use crate::queue::run_worker;
use crate::telemetry::Condition;
use crate::telemetry::traces::NewSpan;

/// Shorter than the lease, so that no other worker runs the same task meanwhile.
const TASK_TIMEOUT: Duration = Duration::from_secs(25);
const WORKERS: usize = 4;
const _: () = assert!(TASK_TIMEOUT.as_secs() < LEASE_TIME.as_secs());

impl Mail {
    /// Runs tasks until `stop`; running tasks finish first.
    pub async fn run_workers(current: impl Fn() -> Self, stop: CancellationToken) {
        // Nothing wakes a worker: the cost of a task must not follow its request in time.
        let never = Notify::new();
        let failing = Condition::new();
        let step = || {
            let mail = current();
            async move { mail.run_next_task().await }
        };
        let workers = (0..WORKERS).map(|_| run_worker(("tasks", &failing), &stop, &never, step));
        futures_util::future::join_all(workers).await;
    }

    /// Runs one due task. Returns whether there was one.
    pub async fn run_next_task(&self) -> Result<bool, DbError> {
        let Some(leased) = self.queue.claim().await? else { return Ok(false) };
        let (id, attempts) = (leased.id.as_str(), leased.attempts);
        let Some(task) = &leased.task else {
            tracing::error!(task = id, "a task is dropped: it was sealed under a key that was removed");
            self.queue.complete(&leased, &[], self.clock.now()).await?;
            return Ok(true);
        };
        let span = tracing::error_span!("task", task = id, kind = task.kind(), attempts);
        let trace = || NewSpan::step("task").with("signpost.task", task.kind());
        let performed = self.traces.task(trace, self.perform(id, task).instrument(span.clone()));
        let done = tokio::time::timeout(TASK_TIMEOUT, performed).await;
        let now = self.clock.now();
        let reason = match done.unwrap_or_else(|_| Err(TaskError::Retry("timeout".to_owned()))) {
            Ok(next) => {
                self.queue.complete(&leased, &next, now).await?;
                return Ok(true);
            }
            Err(TaskError::Permanent(reason)) => reason,
            Err(TaskError::Retry(reason)) => {
                let times = (leased.created_at, now);
                if let Some(due) = self.retry_policy.next_attempt(attempts, times, &self.queue.random) {
                    span.in_scope(|| tracing::info!(reason, "a task failed and will be retried"));
                    self.queue.reschedule(&leased, due).await?;
                    return Ok(true);
                }
                reason
            }
        };
        span.in_scope(|| tracing::warn!(reason, "a task failed and is dropped"));
        self.queue.complete(&leased, &[], now).await?;
        Ok(true)
    }

    /// Runs a task. Returns the tasks that follow from it.
    async fn perform(&self, id: &str, task: &QueuedTask) -> Result<Vec<QueuedTask>, TaskError> {
        match task {
            QueuedTask::SignInLinks { input, requester, locale } => {
                self.sign_in_links(input, *requester, *locale).await
            }
            QueuedTask::PasswordReset { input, slug, requester, locale } => {
                self.reset_password(input, slug.as_ref(), *requester, *locale).await
            }
            QueuedTask::SecureauthReset(account) => self.secureauth_reset(account).await.map(|()| Vec::new()),
            QueuedTask::Email(email) => match &self.transport {
                Some(transport) => transport.send(id, email).await.map(|()| Vec::new()),
                None => Err(TaskError::Permanent("no mail server".to_owned())),
            },
        }
    }
}
