//! SecureAuth's audit events.

use serde::Deserialize;
use serde_json::Value;

use super::client::{Management, Workspace};
use super::error::CallError;
use super::requests::decode;

#[derive(Clone, Copy, Debug, Default)]
pub struct SecureAuthEventQuery<'q> {
    pub organization: &'q str,
    /// Only events of this pool's users.
    pub pool: Option<&'q str>,
    /// Only events of this user.
    pub user: Option<&'q str>,
    /// At most 100.
    pub limit: usize,
}

impl SecureAuthEventQuery<'_> {
    fn query_string(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let named = [("user_pool_id", self.pool), ("user_id", self.user)];
        pairs.extend_pairs(named.iter().filter_map(|(name, value)| value.map(|value| (name, value))));
        pairs.append_pair("order", "desc").append_pair("limit", &self.limit.clamp(1, 100).to_string());
        pairs.finish()
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct SecureAuthEvent {
    pub event_id: String,
    /// RFC 3339
    pub timestamp: String,
    /// Such as `login`.
    #[serde(default)]
    pub event_subject: String,
    /// Such as `succeeded`.
    #[serde(default)]
    pub action: String,
    /// IP address, user agent and more.
    #[serde(default)]
    pub metadata: Value,
}

impl Management {
    /// Events of an organization, newest first.
    pub async fn audit_events(&self, query: &SecureAuthEventQuery<'_>) -> Result<Vec<SecureAuthEvent>, CallError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            audit_events: Option<Vec<SecureAuthEvent>>,
        }
        let path = format!(
            "{}/servers/{}/audit-events?{}",
            self.api_prefix("system"),
            query.organization,
            query.query_string()
        );
        let page: Page = decode(self.get(Workspace::System, path).await?)?;
        Ok(page.audit_events.unwrap_or_default())
    }
}
