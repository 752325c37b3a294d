//! Enablement: the durable job that creates a biller's organization, pool, login client and users at SecureAuth and then
//! activates the biller, or rolls everything back. Afterwards users and settings are kept in sync.
//!
//! The ledger records every object before the call that creates it, under an id chosen here. After a crash the next worker
//! looks for exactly that id. One worker at a time owns a job: its lease and fencing token guard every write and every call.

mod context;
mod enablement;
mod error;
mod failpoints;
mod history;
mod jobs;
mod mode;
mod passwords;
mod readiness;
mod rollback;
mod steps;
mod sync;

pub use context::{Deps, Provisioning};
pub use error::ProvisioningError;
pub use failpoints::Failpoints;
pub use jobs::{CONFIRM_MESSAGE, FAILURE_MESSAGE, Job, JobState, SUCCESS_MESSAGE, Step, StepState};
pub use mode::EnablementOptions;
use mode::mechanisms;
pub use readiness::{CheckStatus, Readiness, ReadinessCheck, advice};
pub use signpost_core::decision::CiamMode;
pub use sync::{Drift, PushError, RemoteSetting, SyncError};
