//! One call: a token, an address, JSON there and back, and patience where the vendor asks for it.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use url::Url;

use super::{Management, Workspace};
use crate::config::PathMode;
use crate::secureauth::HttpError;

/// A call is tried so often in all when the vendor is busy or does not answer.
const TRIES: u32 = 6;
/// The longest that one call waits before it tries again, whatever the vendor asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It never arrived, or nobody knows: no answer, a broken one, or a 5xx. Whether it had its effect is to be looked up.
    #[error("SecureAuth does not answer ({0})")]
    Unknown(&'static str),
    /// The vendor is busy for longer than a call waits.
    #[error("SecureAuth asks to wait")]
    Busy,
    /// It was refused and had no effect.
    #[error("SecureAuth refuses: {0}")]
    Refused(Refusal),
}

/// An answer of 4xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `error_code` of the answer, if it has one.
    pub code: String,
    /// `error` of the answer, cut short.
    pub text: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.status, self.code, self.text)
    }
}

impl CallError {
    pub(super) fn refused(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| -> String {
            let text = body[name].as_str().unwrap_or_default();
            text.chars().filter(|c| !c.is_control()).take(120).collect()
        };
        Self::Refused(Refusal { status, code: text("error_code"), text: text("error") })
    }

    /// Whether it was refused with this status.
    pub fn is(&self, status: u16) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == status)
    }
}

impl From<HttpError> for CallError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Unavailable(reason) | HttpError::Refused(reason) => Self::Unknown(reason),
        }
    }
}

/// A call to be made.
pub(super) struct Call<'a> {
    pub workspace: Workspace,
    pub method: Method,
    pub path: String,
    pub body: Option<&'a Value>,
    /// For POST: the vendor answers a repetition within a minute as it did the first time.
    pub idempotency_key: Option<String>,
}

impl Management {
    pub(super) fn address(&self, path: &str) -> Url {
        let mut url = self.place.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("{}{path}", self.place.base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }

    /// `/api/{kind}/{tenant}`, or what stands for it.
    pub(super) fn prefix(&self, kind: &str) -> String {
        match self.place.paths {
            PathMode::Default => format!("/api/{kind}/{}", self.place.tenant),
            PathMode::Tenant => format!("/api/{kind}"),
        }
    }

    /// Makes a call; the body of a 2xx, or null.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Value, CallError> {
        let mut refused_token = None;
        let mut last = CallError::Busy;
        for attempt in 0..TRIES {
            let token = self.token(call.workspace, refused_token.as_deref()).await?;
            let (wait, error) = match self.once(&call, &token).await {
                Ok((200..300, _, body)) if body.is_empty() => return Ok(Value::Null),
                Ok((200..300, _, body)) => {
                    return serde_json::from_slice(&body).map_err(|_| CallError::Unknown("answer_not_readable"));
                }
                Ok((401, _, body)) => {
                    let error = CallError::refused(401, &body);
                    // A token that has ended, or was revoked: once.
                    if refused_token.is_some() {
                        return Err(error);
                    }
                    refused_token = Some(token);
                    (Duration::ZERO, error)
                }
                Ok((429, headers, _)) => (self.wait(attempt, retry_after(&headers)), CallError::Busy),
                Ok((status, headers, _)) if status >= 500 => {
                    (self.wait(attempt, retry_after(&headers)), CallError::Unknown("server_error"))
                }
                Ok((status, _, body)) => return Err(CallError::refused(status, &body)),
                Err(error) => (self.wait(attempt, None), error.into()),
            };
            last = error;
            if attempt + 1 < TRIES {
                tokio::time::sleep(wait).await;
            }
        }
        Err(last)
    }

    async fn once(&self, call: &Call<'_>, token: &str) -> Result<(u16, HeaderMap, Vec<u8>), HttpError> {
        let mut headers = HeaderMap::new();
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| HttpError::Refused("bad_access_token"))?;
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
        if let Some(key) = call.idempotency_key.as_ref().and_then(|key| HeaderValue::try_from(key).ok()) {
            headers.insert("x-idempotency-key", key);
        }
        self.http.json(call.method.clone(), &self.address(&call.path), headers, call.body).await
    }

    /// How long to wait before the next try: as the vendor says, else longer each time, and never all callers at once.
    fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let steps = FIRST_WAIT * 2_u32.saturating_pow(attempt);
        let jitter = u32::from(u16::from_be_bytes(self.random.bytes()) % 512);
        let own = steps / 2 + steps / 2 * jitter / 512;
        asked.unwrap_or_default().max(own).min(LONGEST_WAIT)
    }
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3). As a date it is taken as no hint: our own waits are long enough.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
