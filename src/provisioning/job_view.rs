//! What is told of jobs: to machines, and to people who name a reference code.

use super::{CONFIRM_MESSAGE, FAILURE_MESSAGE, Job, JobState, Provisioning, ledger};
use crate::db::DbError;
use crate::values;
use signpost_core::{BillerId, ReferenceCode};

const LATEST_JOB: &str = "SELECT id FROM job WHERE biller_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1";

impl Job {
    /// The code that leads support from a message to this job.
    pub fn reference(&self) -> ReferenceCode {
        ReferenceCode::from_id(self.id.as_bytes())
    }

    /// What people are told: before there is any news, what is about to happen.
    pub fn display_message(&self) -> &str {
        match (self.message.as_str(), self.state) {
            ("", JobState::Queued | JobState::Running) => CONFIRM_MESSAGE,
            ("", JobState::RolledBack | JobState::NeedsAttention) => FAILURE_MESSAGE,
            (message, _) => message,
        }
    }
}

impl Provisioning {
    /// Whether the settings name a management API, without which nothing can be moved.
    pub fn is_configured(&self) -> bool {
        self.management.is_some()
    }

    /// The latest job of a biller, whether it has ended or not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn latest_job(&self, biller: &BillerId) -> Result<Option<Job>, DbError> {
        let Some(row) = self.db.one(LATEST_JOB, values![biller.as_str()]).await? else { return Ok(None) };
        ledger::job(&self.db, &row.text(0)?).await
    }
}
