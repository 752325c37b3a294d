//! The worker: takes a job up, and goes forward or back with it as far as it goes.

use std::time::Duration;

use super::ledger::{self, Job, JobState, StopReason};
use super::{FAILURE_MESSAGE, Provisioning, ProvisioningError, failpoints};
use crate::secureauth::management::{CallError, Management};

/// How often a worker without work looks for some.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

impl Provisioning {
    /// Takes up one job, if there is one that nobody is at, and goes on with it as far as it goes. Answers whether there was.
    ///
    /// # Errors
    /// The database failed.
    pub async fn run_next_job(&self) -> Result<bool, ProvisioningError> {
        let Some(management) = &self.management else { return Ok(false) };
        let Some(mut job) = ledger::lease_next(&self.db, self.clock.now(), self.lease).await? else { return Ok(false) };
        let (leased, management) = (job.clone(), management.with_call_window(job.window.clone()));
        let result = tokio::select! {
            result = self.advance(&management, &mut job) => result,
            lost = self.keep_lease_alive(leased) => Err(lost),
        };
        match result {
            Ok(()) | Err(StopReason::LeaseLost) => {}
            Err(stop) => {
                tracing::warn!(job = job.id, error = %stop, "a job goes on later");
                self.record_problem(&job, &format!("It goes on later: {stop}")).await?;
            }
        }
        Ok(true)
    }

    /// Takes up jobs as they come, for ever.
    pub async fn run_worker(&self) {
        loop {
            match self.run_next_job().await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(POLL_INTERVAL).await,
                Err(error) => {
                    tracing::warn!(error = %error, "jobs cannot be looked for");
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    /// Renews the lease while the work goes on; ends when the job has another owner.
    async fn keep_lease_alive(&self, job: Job) -> StopReason {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            // Turning back is noticed between two steps; a database that fails for a moment is no reason to stop.
            if let Err(StopReason::LeaseLost) = self.renew_lease(&job).await {
                return StopReason::LeaseLost;
            }
        }
    }

    async fn advance(&self, management: &Management, job: &mut Job) -> Result<(), StopReason> {
        let billers = self.directory.billers().await.map_err(ProvisioningError::from)?;
        let Some(biller) = billers.by_id(&job.biller_id).cloned() else {
            return self.mark_needs_attention(job, "the biller is gone").await;
        };
        if job.state == JobState::Running {
            match self.provision(management, job, &biller).await {
                Ok(()) => return Ok(()),
                Err(StopReason::CancelRequested) => self.start_rollback(job, "The setup was stopped.").await?,
                Err(StopReason::Failed(why)) => {
                    tracing::error!(job = job.id, biller = %biller.slug, why, "a biller could not be enabled");
                    self.record_problem(job, &why).await?;
                    self.start_rollback(job, FAILURE_MESSAGE).await?;
                }
                Err(other) => return Err(other),
            }
        }
        self.roll_back(management, job, &biller).await
    }

    async fn start_rollback(&self, job: &mut Job, message: &str) -> Result<(), StopReason> {
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::RollingBack, message).await?;
        failpoints::hit("rollback", "decided");
        tx.commit().await?;
        failpoints::hit("rollback", "started");
        job.state = JobState::RollingBack;
        message.clone_into(&mut job.message);
        Ok(())
    }

    pub(super) async fn mark_needs_attention(&self, job: &Job, message: &str) -> Result<(), StopReason> {
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::NeedsAttention, message).await?;
        Ok(tx.commit().await?)
    }
}

/// Nobody knows whether it went well: the job goes on later, and looks.
pub(super) fn retry_later(error: CallError) -> StopReason {
    StopReason::RetryLater(error.into())
}

/// A refusal ends the way forward; no answer does not.
pub(super) fn fail_or_retry(error: &CallError) -> StopReason {
    match error {
        CallError::Rejected(rejection) => StopReason::Failed(format!("SecureAuth refuses: {rejection}")),
        other => retry_later(other.clone()),
    }
}
