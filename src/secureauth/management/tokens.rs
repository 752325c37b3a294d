//! Access tokens by client credentials (RFC 6749, section 4.4): one a workspace, renewed by one caller at a time.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;

use super::calls::{CallError, Rejection};
use super::{Management, Workspace};
use crate::secureauth::client_auth::basic;
use signpost_core::Timestamp;

/// A token is renewed so long before it ends.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Token {
    value: Arc<str>,
    expires_at: Timestamp,
}

/// The tokens there are.
#[derive(Clone, Default)]
pub(super) struct Tokens {
    system: Arc<Mutex<Option<Token>>>,
    admin: Arc<Mutex<Option<Token>>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Management {
    /// A token of a workspace: another one than `rejected`, if that is given.
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
        let (status, body) = self.http.post(&url, &fields, proof).await?;
        match status {
            200 => {}
            429 => return Err(CallError::Throttled),
            // A client or a workspace that is switched off is switched on again; nothing that was asked for is wrong.
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
