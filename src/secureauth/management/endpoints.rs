//! Where the management API is, and how its addresses are made.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{Management, Workspace};
use crate::config::{ImportPath, PathMode};

/// A service client of one of the two special workspaces.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
}

/// Where the management API is, and who we are there.
#[derive(Clone, Debug)]
pub struct ManagementConfig {
    /// Such as `https://tenant.us.connect.secureauth.com`.
    pub base_url: Url,
    /// Where the Admin workspace has a host of its own.
    pub admin_base_url: Option<Url>,
    /// Tenant id.
    pub tenant: String,
    /// How addresses are made.
    pub path_mode: PathMode,
    /// Where users are imported.
    pub import_path: ImportPath,
    /// Client of the System workspace.
    pub system: ServiceClient,
    /// Client of the Admin workspace.
    pub admin: ServiceClient,
    /// How long a call of a job waits for its answer.
    pub timeout: Duration,
}

impl Management {
    /// The full address of a path.
    pub(super) fn url(&self, workspace: Workspace, path: &str) -> Url {
        let base = match (workspace, &self.config.admin_base_url) {
            (Workspace::Admin, Some(base)) => base,
            _ => &self.config.base_url,
        };
        let mut url = base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }

    /// `/api/{kind}/{tenant}`, or what stands for it.
    pub(super) fn api_prefix(&self, kind: &str) -> String {
        match self.config.path_mode {
            PathMode::Default => format!("/api/{kind}/{}", self.config.tenant),
            PathMode::Tenant | PathMode::Server => format!("/api/{kind}"),
        }
    }

    /// Where a workspace gives tokens.
    pub(super) fn token_path(&self, workspace: Workspace) -> String {
        let name = workspace.as_str();
        match self.config.path_mode {
            PathMode::Default => format!("/{}/{name}/oauth2/token", self.config.tenant),
            PathMode::Tenant => format!("/{name}/oauth2/token"),
            PathMode::Server => "/oauth2/token".to_owned(),
        }
    }

    /// Where users come in and out.
    pub(super) fn configuration_path(&self) -> String {
        match self.config.import_path {
            ImportPath::Tenant => format!("{}/configuration", self.api_prefix("identity")),
            ImportPath::System => format!("/api/identity/system/{}/configuration", self.tenant()),
        }
    }
}
