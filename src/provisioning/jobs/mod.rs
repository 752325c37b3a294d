//! Enablement jobs: the record, the ledger in the database, and the worker.

mod job;
mod ledger;
mod stop;
mod worker;

pub use job::{CONFIRM_MESSAGE, FAILURE_MESSAGE, Job, JobState, SUCCESS_MESSAGE, Step, StepState};
pub(super) use ledger::{LeasedJob, Ledger};
pub(super) use stop::{StopReason, fail_or_retry, retry_later};
