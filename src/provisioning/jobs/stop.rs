//! Why a worker stops working on a job.

use crate::db::DbError;
use crate::provisioning::ProvisioningError;
use crate::queue::LeaseLost;
use crate::secureauth::management::CallError;

#[derive(Debug, thiserror::Error)]
pub(in crate::provisioning) enum StopReason {
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    #[error("the job was cancelled")]
    CancelRequested,
    /// The job cannot succeed and is rolled back.
    #[error("{0}")]
    Failed(String),
    /// The job stays open. A worker claims it again when the lease has ended.
    #[error(transparent)]
    RetryLater(#[from] ProvisioningError),
}

impl From<DbError> for StopReason {
    fn from(error: DbError) -> Self {
        Self::RetryLater(error.into())
    }
}

/// The outcome of the call is unknown: the next worker looks it up.
pub(in crate::provisioning) fn retry_later(error: CallError) -> StopReason {
    StopReason::RetryLater(error.into())
}

/// A rejected or ignored call fails the job; a call with an unknown outcome is retried.
pub(in crate::provisioning) fn fail_or_retry(error: &CallError) -> StopReason {
    match error {
        CallError::Rejected(rejection) => StopReason::Failed(format!("SecureAuth rejected a call: {rejection}")),
        CallError::NotApplied { .. } => StopReason::Failed(error.to_string()),
        other => retry_later(other.clone()),
    }
}
