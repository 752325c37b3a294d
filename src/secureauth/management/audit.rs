//! What the vendor noted: sign-ins, and what was done about users.

use serde::Deserialize;
use serde_json::Value;

use super::calls::CallError;
use super::objects::decode;
use super::{Management, Workspace};

/// Which events are asked for, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecureAuthEventQuery<'q> {
    /// The organization.
    pub organization: &'q str,
    /// Events about a user of this pool.
    pub pool: Option<&'q str>,
    /// Events about this user.
    pub user: Option<&'q str>,
    /// Such as `login`; empty: all.
    pub subjects: &'q [&'q str],
    /// Events older than this one.
    pub before: Option<&'q str>,
    /// How many, at most 100.
    pub limit: usize,
}

impl SecureAuthEventQuery<'_> {
    /// As it stands in an address.
    fn query_string(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let named = [("user_pool_id", self.pool), ("user_id", self.user), ("before_event_id", self.before)];
        pairs.extend_pairs(named.iter().filter_map(|(name, value)| value.map(|value| (name, value))));
        pairs.extend_pairs(self.subjects.iter().map(|subject| ("event_subject", subject)));
        pairs.append_pair("order", "desc").append_pair("limit", &self.limit.clamp(1, 100).to_string());
        pairs.finish()
    }
}

/// An event.
#[derive(Clone, Debug, Deserialize)]
pub struct SecureAuthEvent {
    /// Permanent id.
    pub event_id: String,
    /// When, as RFC 3339.
    pub timestamp: String,
    /// What it is about, such as `login`.
    #[serde(default)]
    pub event_subject: String,
    /// What happened, such as `succeeded`.
    #[serde(default)]
    pub action: String,
    /// More, as the vendor has it: address, user agent, and so on.
    #[serde(default)]
    pub metadata: Value,
}

impl Management {
    /// Events of an organization, newest first.
    ///
    /// # Errors
    /// No answer, or a refusal.
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
