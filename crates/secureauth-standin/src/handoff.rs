//! Redemption of the gateway's handoff tokens, server to server.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Gateway {
    base: String,
    api_key: String,
}

/// The handoff payload.
#[derive(Clone, Deserialize)]
pub(crate) struct HandoffPayload {
    /// `legacy`, `legacy_reset` or `portal`.
    pub kind: String,
    /// As typed at the gateway; none if the gateway did not ask.
    pub username: Option<String>,
    /// The biller's slug.
    pub biller: Option<String>,
    pub return_to: Option<String>,
    /// The reference code of the decision.
    pub reference: Option<String>,
    /// For users who cannot sign in.
    pub recover_url: Option<String>,
    /// Portal: subject at the issuer.
    pub sub: Option<String>,
    /// Portal: the issuer.
    pub iss: Option<String>,
    /// Portal: when the user signed in.
    pub auth_time: Option<Value>,
    /// Portal: authentication methods.
    #[serde(default)]
    pub amr: Option<Vec<String>>,
    /// Portal: the state that it passed to the gateway.
    pub state: Option<String>,
}

pub(crate) enum Redemption {
    Payload(Box<HandoffPayload>),
    /// The token is used, expired, or for another audience.
    Invalid,
    /// The gateway did not respond as documented.
    Unreachable,
}

impl Gateway {
    /// `base` is an address such as `http://localhost:8080`.
    pub(crate) fn new(base: &str, api_key: String) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), api_key }
    }

    /// `path` starts with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Redeems a token of this kind.
    pub(crate) async fn redeem(&self, http: &reqwest::Client, token: &str, kind: &str) -> Redemption {
        let request = http
            .post(self.url("/api/v1/handoffs/redeem"))
            .timeout(REQUEST_TIMEOUT)
            .bearer_auth(&self.api_key)
            .json(&json!({ "token": token }));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(%error, "cannot reach the gateway to redeem a handoff");
                return Redemption::Unreachable;
            }
        };
        match response.status() {
            reqwest::StatusCode::OK => {}
            reqwest::StatusCode::NOT_FOUND => return Redemption::Invalid,
            status => {
                tracing::warn!(status = status.as_u16(), "the gateway rejected a handoff redemption");
                return Redemption::Unreachable;
            }
        }
        match response.json::<HandoffPayload>().await {
            Ok(handoff) if handoff.kind == kind => Redemption::Payload(Box::new(handoff)),
            Ok(_) => Redemption::Invalid,
            Err(error) => {
                tracing::warn!(%error, "invalid response to a handoff redemption");
                Redemption::Unreachable
            }
        }
    }
}
