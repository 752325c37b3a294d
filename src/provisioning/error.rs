//! Errors of provisioning.

use crate::db::DbError;
use crate::directory::DirectoryError;
use crate::secureauth::management::CallError;
use signpost_core::Slug;

#[derive(Debug, thiserror::Error)]
pub enum ProvisioningError {
    #[error("the settings have no [secureauth] section")]
    NotConfigured,
    #[error("there is no biller {0}")]
    BillerNotFound(Slug),
    /// No enablement job created the biller's pool.
    #[error("{0} was not enabled by Signpost: Signpost does not manage its users at SecureAuth")]
    NotProvisioned(Slug),
    /// SecureAuth no longer has a provisioned resource.
    #[error("the {kind} {id} no longer exists at SecureAuth: enable the biller again")]
    ResourceMissing { kind: &'static str, id: String },
    #[error("{slug} is {state}: {hint}")]
    InvalidState { slug: Slug, state: &'static str, hint: &'static str },
    #[error("{count} user(s) cannot be migrated: {}", .examples.join(", "))]
    UnsupportedUsernames { count: usize, examples: Vec<String> },
    /// A readiness check fails before activation.
    #[error("{0}")]
    NotReady(String),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<DbError> for ProvisioningError {
    fn from(error: DbError) -> Self {
        Self::Directory(error.into())
    }
}
