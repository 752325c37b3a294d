//! The worker: takes a job up, and goes forward or back with it as far as it goes.

use std::time::Duration;

use super::ledger::{self, Job, JobState, Stop};
use super::{EnableError, Enablement, FAILURE, points};
use crate::secureauth::management::{CallError, Management};

/// How often a worker without work looks for some.
const POLL_EVERY: Duration = Duration::from_millis(500);

impl Enablement {
    /// Takes up one job, if there is one that nobody is at, and goes on with it as far as it goes. Answers whether there was.
    ///
    /// # Errors
    /// The database failed.
    pub async fn work(&self) -> Result<bool, EnableError> {
        let Some(management) = &self.management else { return Ok(false) };
        let Some(mut job) = ledger::take(&self.db, self.clock.now(), self.lease).await? else { return Ok(false) };
        let (owned, management) = (job.clone(), management.within(job.window.clone()));
        let worked = tokio::select! {
            worked = self.advance(&management, &mut job) => worked,
            lost = self.keep_lease(owned) => Err(lost),
        };
        match worked {
            Ok(()) | Err(Stop::Lost) => {}
            Err(stop) => {
                tracing::warn!(job = job.id, error = %stop, "a job goes on later");
                self.note(&job, &format!("It goes on later: {stop}")).await?;
            }
        }
        Ok(true)
    }

    /// Takes up jobs as they come, for ever.
    pub async fn keep_working(&self) {
        loop {
            match self.work().await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(POLL_EVERY).await,
                Err(error) => {
                    tracing::warn!(error = %error, "jobs cannot be looked for");
                    tokio::time::sleep(POLL_EVERY).await;
                }
            }
        }
    }

    /// Renews the lease while the work goes on; ends when the job has another owner.
    async fn keep_lease(&self, job: Job) -> Stop {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            // Turning back is noticed between two steps; a database that fails for a moment is no reason to stop.
            if let Err(Stop::Lost) = self.renew(&job).await {
                return Stop::Lost;
            }
        }
    }

    async fn advance(&self, management: &Management, job: &mut Job) -> Result<(), Stop> {
        let billers = self.directory.billers().await.map_err(EnableError::from)?;
        let Some(biller) = billers.by_id(&job.biller_id).cloned() else {
            return self.give_up(job, "the biller is gone").await;
        };
        if job.state == JobState::Running {
            match self.forward(management, job, &biller).await {
                Ok(()) => return Ok(()),
                Err(Stop::TurnedBack) => self.turn(job, "The setup was stopped.").await?,
                Err(Stop::Failed(why)) => {
                    tracing::error!(job = job.id, biller = %biller.slug, why, "a biller could not be enabled");
                    self.note(job, &why).await?;
                    self.turn(job, FAILURE).await?;
                }
                Err(other) => return Err(other),
            }
        }
        self.back(management, job, &biller).await
    }

    async fn turn(&self, job: &mut Job, message: &str) -> Result<(), Stop> {
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::RollingBack, message).await?;
        points::pass("return", "decided");
        tx.commit().await?;
        points::pass("return", "begun");
        job.state = JobState::RollingBack;
        message.clone_into(&mut job.message);
        Ok(())
    }

    pub(super) async fn give_up(&self, job: &Job, message: &str) -> Result<(), Stop> {
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::NeedsAttention, message).await?;
        Ok(tx.commit().await?)
    }
}

/// Nobody knows whether it went well: the job goes on later, and looks.
pub(super) fn later(error: CallError) -> Stop {
    Stop::Later(error.into())
}

/// A refusal ends the way forward; no answer does not.
pub(super) fn failed(error: &CallError) -> Stop {
    match error {
        CallError::Refused(refusal) => Stop::Failed(format!("SecureAuth refuses: {refusal}")),
        other => later(other.clone()),
    }
}
