//! The job worker: claims a job, provisions the biller, and rolls back if that fails.

use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use super::job::{FAILURE_MESSAGE, JobState};
use super::ledger::LeasedJob;
use super::stop::StopReason;
use crate::provisioning::{Provisioning, ProvisioningError};
use crate::queue::{LeaseLost, run_worker};
use crate::secureauth::management::Management;
use crate::telemetry::Condition;
use crate::telemetry::traces::{self, NewSpan};

impl Provisioning {
    /// Claims one job and works on it as far as possible. Returns whether there was one.
    pub async fn run_next_job(&self) -> Result<bool, ProvisioningError> {
        let Some(management) = &self.management else { return Ok(false) };
        let Some(mut job) = self.ledger.claim().await? else { return Ok(false) };
        let (leased, management) = (job.clone(), management.with_lease(job.lease.clone()));
        let span = tracing::error_span!("job", job = leased.id, biller = Empty);
        let advanced = self.advance(&management, &mut job).instrument(span.clone());
        let result = tokio::select! {
            result = self.traces.task(|| NewSpan::step("job"), advanced) => result,
            lost = self.keep_lease_alive(&leased) => Err(lost.into()),
        };
        match result {
            Ok(()) | Err(StopReason::LeaseLost(_)) => {}
            Err(stop) => {
                span.in_scope(|| tracing::warn!(error = %stop, "an enablement job waits and will be retried"));
                self.ledger.record_problem(&job, &format!("It will be retried: {stop}")).await?;
            }
        }
        Ok(true)
    }

    /// Runs jobs until `stop`. A running job is abandoned then; the next worker resumes it when the lease has ended.
    /// Each job runs under the settings that are in effect when it is claimed.
    pub async fn run_job_worker(current: impl Fn() -> Self, stop: CancellationToken) {
        let (failing, wake) = (Condition::new(), current().wake);
        let step = || {
            let provisioning = current();
            async move { provisioning.run_next_job().await }
        };
        tokio::select! {
            () = run_worker(("jobs", &failing), &stop, &wake, step) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Renews the lease while the worker is busy. Returns when the job has another owner.
    async fn keep_lease_alive(&self, job: &LeasedJob) -> LeaseLost {
        loop {
            tokio::time::sleep(self.lease_time / 3).await;
            // The worker notices a cancellation between two steps. A brief database failure is no reason to stop.
            if let Err(StopReason::LeaseLost(lost)) = self.ledger.renew_lease(job).await {
                return lost;
            }
        }
    }

    async fn advance(&self, management: &Management, job: &mut LeasedJob) -> Result<(), StopReason> {
        let biller = self.directory.stored_biller(&job.biller_id).await.map_err(ProvisioningError::from)?;
        let Some(biller) = biller else {
            return self.mark_needs_attention(job, "The biller no longer exists.").await;
        };
        tracing::Span::current().record("biller", biller.slug.as_str());
        traces::note("signpost.biller", biller.slug.as_str().to_owned());
        if job.state == JobState::Running {
            match self.provision(management, job, &biller).await {
                Ok(()) => return Ok(()),
                Err(StopReason::CancelRequested) => self.start_rollback(job, "The setup was cancelled.").await?,
                Err(StopReason::Failed(why)) => {
                    tracing::error!(why, "an enablement job failed");
                    self.ledger.record_problem(job, &why).await?;
                    self.start_rollback(job, FAILURE_MESSAGE).await?;
                }
                Err(other) => return Err(other),
            }
        }
        self.roll_back(management, job, &biller).await
    }

    async fn start_rollback(&self, job: &mut LeasedJob, message: &str) -> Result<(), StopReason> {
        let mut tx = self.db.begin().await?;
        self.ledger.set_state(&mut tx, job, JobState::RollingBack, message).await?;
        self.failpoints.hit("rollback", "decided");
        tx.commit().await?;
        self.failpoints.hit("rollback", "started");
        job.state = JobState::RollingBack;
        message.clone_into(&mut job.message);
        Ok(())
    }

    async fn mark_needs_attention(&self, job: &LeasedJob, message: &str) -> Result<(), StopReason> {
        let mut tx = self.db.begin().await?;
        self.ledger.set_state(&mut tx, job, JobState::NeedsAttention, message).await?;
        Ok(tx.commit().await?)
    }
}
