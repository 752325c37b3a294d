//! Sync of a migrated biller with SecureAuth: changes of users, drift, and settings.

pub(super) mod differences;
mod drift;
pub(super) mod import_method;
mod outbox;
pub(super) mod push;
pub(super) mod settings;
pub(super) mod users;

pub use drift::{Drift, SyncError};
pub use push::PushError;
pub use settings::RemoteSetting;
