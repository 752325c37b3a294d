//! Where the management API is, and which clients Signpost uses there.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::config::{ImportPath, PathMode};

/// A service client of one of the two special workspaces.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    pub client_id: String,
    pub client_secret: SecretString,
}

#[derive(Clone, Debug)]
pub struct ManagementConfig {
    /// Such as `https://tenant.us.connect.secureauth.com`.
    pub base_url: Url,
    /// Set if the Admin workspace has a host of its own.
    pub admin_base_url: Option<Url>,
    pub tenant: String,
    pub path_mode: PathMode,
    pub import_path: ImportPath,
    /// Client of the System workspace.
    pub system: ServiceClient,
    /// Client of the Admin workspace.
    pub admin: ServiceClient,
    /// Limits one attempt of a background call.
    pub timeout: Duration,
}
