//! Access tokens by client credentials (RFC 6749, section 4.4).

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::client::{Management, Token, Workspace};
use super::endpoints::{failure, outcome};
use super::error::{CallError, Rejection};
use crate::secureauth::client_auth::basic;
use crate::telemetry::traces::{self, NewSpan};

/// A token is renewed this long before it expires.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Management {
    /// Returns an access token of a workspace, other than `rejected`.
    pub(super) async fn token(&self, workspace: Workspace, rejected: Option<&str>) -> Result<Arc<str>, CallError> {
        let slot = match workspace {
            Workspace::System => &self.tokens.system,
            Workspace::Admin => &self.tokens.admin,
        };
        let mut cached = slot.lock().await;
        let now = self.clock.now();
        if let Some(token) = &*cached
            && token.expires_at > now.plus(RENEW_BEFORE_EXPIRY)
            && rejected != Some(&*token.value)
        {
            return Ok(Arc::clone(&token.value));
        }
        let client = match workspace {
            Workspace::System => &self.config.system,
            Workspace::Admin => &self.config.admin,
        };
        let fields = [("grant_type".to_owned(), "client_credentials".to_owned())];
        let url = self.url(workspace, &self.token_path(workspace));
        let proof = basic(&client.client_id, &client.client_secret);
        let started = Instant::now();
        let span = traces::begin(|| NewSpan::step("call management API").with("signpost.endpoint", "token"));
        let answer = span.scope(self.http.post(&url, &fields, proof)).await;
        let counted = answer.as_ref().map_or_else(|error| failure(*error), |(status, _)| outcome(*status));
        if counted != "success" {
            span.fail(counted);
        }
        self.metrics.record_management_call(("token", "POST"), counted, started.elapsed());
        let (status, body) = answer?;
        match status {
            200 => {}
            429 => return Err(CallError::Throttled),
            // The client or the workspace may be deactivated for a while: the call itself is not at fault.
            _ => return Err(CallError::TokenRejected(Rejection::read(status, &body))),
        }
        let response: TokenResponse =
            serde_json::from_slice(&body).map_err(|_| CallError::OutcomeUnknown("token_response_malformed"))?;
        if response.access_token.is_empty() || !response.access_token.bytes().all(|b| (0x21..0x7f).contains(&b)) {
            return Err(CallError::OutcomeUnknown("invalid_access_token"));
        }
        let life = Duration::from_secs(response.expires_in.unwrap_or(300).min(24 * 3600));
        let token = Token { value: response.access_token.into(), expires_at: now.plus(life) };
        *cached = Some(token.clone());
        Ok(token.value)
    }
}
