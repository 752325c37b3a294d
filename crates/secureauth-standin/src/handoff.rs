//! Redeeming the gateway's hand-off tokens, server to server.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// How long a stand-in waits for the gateway.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The gateway, as a portal knows it.
pub(crate) struct Gateway {
    base: String,
    api_key: String,
}

/// What redeeming a token tells: who is coming, and why.
#[derive(Clone, Deserialize)]
pub(crate) struct HandoffPayload {
    /// `legacy`, `legacy_reset` or `portal`.
    pub kind: String,
    /// As typed at the gateway; none when it was not asked.
    pub username: Option<String>,
    /// The biller's slug, if known.
    pub biller: Option<String>,
    /// Where the visit was bound for.
    pub return_to: Option<String>,
    /// The reference code of the decision.
    pub reference: Option<String>,
    /// Where to send a person who cannot sign in.
    pub recover_url: Option<String>,
    /// Portal: subject at the issuer.
    pub sub: Option<String>,
    /// Portal: the issuer.
    pub iss: Option<String>,
    /// Portal: when the person signed in.
    pub auth_time: Option<Value>,
    /// Portal: by which means.
    #[serde(default)]
    pub amr: Option<Vec<String>>,
    /// Portal: what it passed when it started the visit.
    pub state: Option<String>,
}

/// How redeeming went.
pub(crate) enum Redemption {
    /// A fresh token.
    Payload(Box<HandoffPayload>),
    /// Used before, too old, or not one for us.
    Invalid,
    /// The gateway did not answer as agreed.
    Unreachable,
}

impl Gateway {
    /// A gateway at a base address such as `http://localhost:8080`.
    pub(crate) fn new(base: &str, api_key: String) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), api_key }
    }

    /// An address of the gateway; the path starts with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Redeems a token that must be of this kind.
    pub(crate) async fn redeem(&self, http: &reqwest::Client, token: &str, kind: &str) -> Redemption {
        let request = http
            .post(self.url("/api/v1/handoffs/redeem"))
            .timeout(REQUEST_TIMEOUT)
            .bearer_auth(&self.api_key)
            .json(&json!({ "token": token }));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(%error, "the gateway cannot be reached to redeem a hand-off");
                return Redemption::Unreachable;
            }
        };
        match response.status() {
            reqwest::StatusCode::OK => {}
            reqwest::StatusCode::NOT_FOUND => return Redemption::Invalid,
            status => {
                tracing::warn!(status = status.as_u16(), "the gateway refused to redeem a hand-off");
                return Redemption::Unreachable;
            }
        }
        match response.json::<HandoffPayload>().await {
            Ok(handoff) if handoff.kind == kind => Redemption::Payload(Box::new(handoff)),
            Ok(_) => Redemption::Invalid,
            Err(error) => {
                tracing::warn!(%error, "the gateway's answer to redeeming a hand-off cannot be read");
                Redemption::Unreachable
            }
        }
    }
}
