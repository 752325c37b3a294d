//! URLs of the management API, and what metrics call its endpoints and their answers.

use url::Url;

use super::client::{Management, Workspace};
use crate::config::{ImportPath, PathMode};
use crate::secureauth::HttpClientError;

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

/// The kind of resource that a path leads to: the last of its segments that names one.
pub(super) fn endpoint(path: &str) -> &'static str {
    const RESOURCES: [&str; 9] =
        ["audit-events", "claims", "clients", "configuration", "idps", "organizations", "pools", "user", "users"];
    let path = path.split('?').next().unwrap_or_default();
    let known = |segment| RESOURCES.into_iter().find(|resource| *resource == segment);
    match path.rsplit('/').find_map(known) {
        // What users do themselves, by the name of its path.
        Some("user") => "self_service",
        Some(resource) => resource,
        None => "other",
    }
}

pub(super) fn outcome(status: u16) -> &'static str {
    match status {
        200..300 => "success",
        404 => "not_found",
        429 => "throttled",
        400..500 => "rejected",
        _ => "server_error",
    }
}

pub(super) fn failure(error: HttpClientError) -> &'static str {
    match error {
        HttpClientError::Throttled { .. } => "throttled",
        HttpClientError::Unavailable(reason) | HttpClientError::Rejected(reason) => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_no_ids() {
        for (path, name) in [
            ("/api/system/acme/organizations/riverside-water", "organizations"),
            ("/api/identity/acme/system/pools/p1/users/u1?rfc_version=7396", "users"),
            ("/api/identity/acme/system/pools/p1/users/by_key", "users"),
            ("/api/identity/acme/system/pools/p1/user/password/reset/request?x=users", "self_service"),
            ("/api/admin/servers/riverside-water/idps/identity_pool", "idps"),
            ("/api/identity/system/acme/configuration?mode=update", "configuration"),
            ("/api/new", "other"),
        ] {
            assert_eq!(endpoint(path), name, "{path}");
        }
    }
}
