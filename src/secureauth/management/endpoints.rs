//! URLs of the management API.

use url::Url;

use super::client::{Management, Workspace};
use crate::config::{ImportPath, PathMode};

impl Management {
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

    /// `/api/{kind}/{tenant}`, or the form of the configured path mode.
    pub(super) fn api_prefix(&self, kind: &str) -> String {
        match self.config.path_mode {
            PathMode::Default => format!("/api/{kind}/{}", self.config.tenant),
            PathMode::Tenant | PathMode::Server => format!("/api/{kind}"),
        }
    }

    pub(super) fn token_path(&self, workspace: Workspace) -> String {
        let name = workspace.as_str();
        match self.config.path_mode {
            PathMode::Default => format!("/{}/{name}/oauth2/token", self.config.tenant),
            PathMode::Tenant => format!("/{name}/oauth2/token"),
            PathMode::Server => "/oauth2/token".to_owned(),
        }
    }

    /// The path of imports and exports.
    pub(super) fn configuration_path(&self) -> String {
        match self.config.import_path {
            ImportPath::Tenant => format!("{}/configuration", self.api_prefix("identity")),
            ImportPath::System => format!("/api/identity/system/{}/configuration", self.tenant()),
        }
    }
}
