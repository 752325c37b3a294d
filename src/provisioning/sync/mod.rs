//! Sync of a migrated biller with SecureAuth: changes of users, drift, and settings.

mod differences;
mod drift;
mod outbox;
mod push;
pub(super) mod settings;
pub(super) mod users;

pub use drift::{Drift, SyncError};
pub use push::PushError;
pub use settings::RemoteSetting;
