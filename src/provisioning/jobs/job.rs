//! The record of a job and its steps.

use crate::directory::PasswordCarryOver;
use crate::provisioning::CiamMode;
use signpost_core::{BillerId, ReferenceCode, Timestamp};

/// Shown before a biller is enabled.
pub const CONFIRM_MESSAGE: &str = "Enabling CIAM will initiate the creation of your organization and all its associated users in \
     SecureAuth. Please wait while the setup completes.";
pub const SUCCESS_MESSAGE: &str = "Organization and users successfully created in SecureAuth.";
/// Shown with a reference code.
pub const FAILURE_MESSAGE: &str = "An error occurred during Organization or user creation. Please contact support.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// No worker has claimed it yet.
    Queued,
    /// It provisions the biller.
    Running,
    /// It deletes what it created.
    RollingBack,
    /// It succeeded: the biller is active.
    Active,
    /// It failed or was cancelled, and everything it created was deleted.
    RolledBack,
    /// It failed, and an operator must delete what is left at SecureAuth.
    NeedsAttention,
}

impl JobState {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::RollingBack, Self::Active, Self::RolledBack, Self::NeedsAttention];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::RollingBack => "rolling_back",
            Self::Active => "active",
            Self::RolledBack => "rolled_back",
            Self::NeedsAttention => "needs_attention",
        }
    }

    /// Whether the job has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Active | Self::RolledBack | Self::NeedsAttention)
    }
}

/// An enablement job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Also part of the tag and the ids of what it creates.
    pub id: String,
    pub biller_id: BillerId,
    pub state: JobState,
    pub cancel_requested: bool,
    pub mode: CiamMode,
    pub passwords: PasswordCarryOver,
    /// Users imported so far.
    pub done: i64,
    /// The biller's users when the job started.
    pub total: i64,
    /// For staff and the CRM. Empty at first.
    pub message: String,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Why it waits or was rolled back, for operators.
    pub problem: String,
    /// The last user imported.
    pub(in crate::provisioning) last_user_id: String,
}

impl Job {
    pub fn reference(&self) -> ReferenceCode {
        ReferenceCode::from_id(self.id.as_bytes())
    }

    /// The message, or a standard one for the state.
    pub fn display_message(&self) -> &str {
        match (self.message.as_str(), self.state) {
            ("", JobState::Queued | JobState::Running) => CONFIRM_MESSAGE,
            ("", JobState::RolledBack | JobState::NeedsAttention) => FAILURE_MESSAGE,
            (message, _) => message,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// The object existed before the job. It stays, whatever happens.
    Existing,
    /// The object existed before the job, but deactivated. A rollback deactivates it again.
    Reactivated,
    /// The job is about to create the object, which may or may not exist.
    Intended,
    /// The job created the object.
    Confirmed,
    /// The job deleted the object again.
    RolledBack,
    /// The job works in this way. There is nothing to delete.
    Selected,
}

impl StepState {
    pub(super) const ALL: [Self; 6] =
        [Self::Existing, Self::Reactivated, Self::Intended, Self::Confirmed, Self::RolledBack, Self::Selected];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Existing => "existing",
            Self::Reactivated => "reactivated",
            Self::Intended => "intended",
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolled_back",
            Self::Selected => "selected",
        }
    }
}

/// One provisioned resource of a job, or a choice that it made.
#[derive(Clone, Debug)]
pub struct Step {
    /// `organization`, `pool`, `connection`, `client`, `claim` or `import`.
    pub kind: String,
    /// Its exact id at SecureAuth. For `import`: the call that imports users.
    pub object_id: String,
    pub state: StepState,
    /// The client's secret, sealed.
    pub(in crate::provisioning) sealed: Option<String>,
}
