//! One call: a token, an address, JSON there and back, and patience where the vendor asks for it.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method, header};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{Management, Workspace};
use crate::secureauth::HttpClientError;
use signpost_core::Timestamp;

/// No call of a job waits longer than this for its next try; a longer wait is left to the caller.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);
/// The longest that the vendor is left alone, whatever it asks for.
const MAX_BACKOFF: Duration = Duration::from_secs(15 * 60);
const INITIAL_RETRY_DELAY: Duration = Duration::from_millis(200);
/// A hundred users of a list with all that belongs to them.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// How long a caller can wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    /// A call is tried so often in all when the vendor is busy or does not answer.
    max_attempts: u32,
    max_delay: Duration,
    timeout: Duration,
}

impl RetryPolicy {
    /// Of jobs.
    pub(super) fn for_jobs(timeout: Duration) -> Self {
        Self { max_attempts: 6, max_delay: MAX_RETRY_DELAY, timeout }
    }

    /// Where somebody waits for the answer.
    pub(super) const INTERACTIVE: Self =
        Self { max_attempts: 2, max_delay: Duration::from_secs(1), timeout: Duration::from_secs(5) };
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It never arrived, or nobody knows: no answer, a broken one, or a 5xx. Whether it had its effect is to be looked up.
    #[error("SecureAuth does not answer ({0})")]
    OutcomeUnknown(&'static str),
    /// The vendor is busy for longer than a call waits.
    #[error("SecureAuth asks to wait")]
    Throttled,
    /// It gives us no access token, or takes none, not even a new one. That says nothing about what was asked for.
    #[error("SecureAuth does not take our access token: {0}")]
    TokenRejected(Rejection),
    /// It was refused and had no effect.
    #[error("SecureAuth refuses: {0}")]
    Rejected(Rejection),
}

/// An answer of 4xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// HTTP status.
    pub status: u16,
    /// `error_code` of the answer, if it has one.
    pub code: String,
    /// `error` of the answer, cut short.
    pub message: String,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.status, self.code, self.message)
    }
}

impl Rejection {
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| -> String {
            let text = body[name].as_str().unwrap_or_default();
            text.chars().filter(|c| !c.is_control()).take(120).collect()
        };
        Self { status, code: text("error_code"), message: text("error") }
    }
}

impl CallError {
    /// Whether it was refused with this status.
    pub fn is(&self, status: u16) -> bool {
        matches!(self, Self::Rejected(rejection) if rejection.status == status)
    }
}

impl From<HttpClientError> for CallError {
    fn from(error: HttpClientError) -> Self {
        match error {
            HttpClientError::Unavailable(reason) | HttpClientError::Rejected(reason) => Self::OutcomeUnknown(reason),
        }
    }
}

/// A call to be made.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    workspace: Workspace,
    method: Method,
    path: String,
    /// JSON.
    body: Option<Vec<u8>>,
    /// For POST: the vendor answers a repetition within a minute as it did the first time.
    idempotency_key: Option<String>,
    /// The version that is to be changed, as the vendor's `ETag` had it.
    if_match: Option<&'a str>,
    /// Its 401 may be about the person's password or code instead of our token.
    verifies_user_secret: bool,
}

/// What came of a call.
pub(super) struct ApiResponse {
    /// The body of a 2xx, or null.
    pub body: Value,
    /// Version of the one resource in it.
    pub etag: Option<String>,
}

impl<'a> Call<'a> {
    pub(super) fn new(workspace: Workspace, method: Method, path: String) -> Self {
        let (body, idempotency_key, if_match) = (None, None, None);
        Self { workspace, method, path, body, idempotency_key, if_match, verifies_user_secret: false }
    }

    pub(super) fn body(self, body: &impl Serialize) -> Self {
        // Nothing of ours is without a form in JSON.
        Self { body: Some(serde_json::to_vec(body).unwrap_or_default()), ..self }
    }

    pub(super) fn idempotency_key(self, key: String) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }

    /// Only if nobody has changed it since this version.
    pub(super) fn if_match(self, version: Option<&'a str>) -> Self {
        Self { if_match: version, ..self }
    }

    pub(super) fn verifies_user_secret(self) -> Self {
        Self { verifies_user_secret: true, ..self }
    }
}

impl Management {
    /// Makes a call; the body of a 2xx, or null.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Value, CallError> {
        self.call_with_etag(call).await.map(|response| response.body)
    }

    /// The same with the version of the resource.
    pub(super) async fn call_with_etag(&self, call: Call<'_>) -> Result<ApiResponse, CallError> {
        // One for all tries: the vendor copies it into its audit events, and our logs have it.
        let correlation = self.random.token::<12>();
        let mut rejected_token = None;
        let mut last = CallError::Throttled;
        for attempt in 0..self.retry_policy.max_attempts {
            self.wait_for_backoff().await?;
            let token = match self.token(call.workspace, rejected_token.as_deref()).await {
                Ok(token) => token,
                Err(error @ (CallError::OutcomeUnknown(_) | CallError::Throttled)) => {
                    last = error;
                    if attempt + 1 < self.retry_policy.max_attempts {
                        tokio::time::sleep(self.retry_delay(attempt)).await;
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.window.as_ref().is_some_and(|window| !window.is_open(self.clock.now())) {
                return Err(CallError::OutcomeUnknown("lease_expired"));
            }
            let (wait, error) = match self.send_once(&call, &token, &correlation).await {
                Ok((200..300, headers, body)) => return parse_response(&headers, &body),
                Ok((401, _, body)) => {
                    let rejection = Rejection::read(401, &body);
                    if call.verifies_user_secret && rejection.code != "invalid_access_token" {
                        return Err(CallError::Rejected(rejection));
                    }
                    // A token that has ended, or was revoked: once.
                    if rejected_token.is_some() {
                        return Err(CallError::TokenRejected(rejection));
                    }
                    rejected_token = Some(token);
                    (Duration::ZERO, CallError::TokenRejected(rejection))
                }
                Ok((status @ (429 | 500..), headers, _)) => {
                    if let Some(delay) = retry_after(&headers, self.clock.now()) {
                        self.back_off(delay);
                    }
                    let error =
                        if status == 429 { CallError::Throttled } else { CallError::OutcomeUnknown("server_error") };
                    tracing::warn!(error = %error, trace = trace(&headers), correlation, "a call goes wrong");
                    (self.retry_delay(attempt), error)
                }
                Ok((status, headers, body)) => {
                    let rejection = Rejection::read(status, &body);
                    tracing::debug!(rejection = %rejection, trace = trace(&headers), correlation, "a call is refused");
                    return Err(CallError::Rejected(rejection));
                }
                Err(error) => {
                    tracing::warn!(error = %error, correlation, "a call goes wrong");
                    (self.retry_delay(attempt), error.into())
                }
            };
            last = error;
            if attempt + 1 < self.retry_policy.max_attempts {
                tokio::time::sleep(wait).await;
            }
        }
        Err(last)
    }

    async fn send_once(
        &self,
        call: &Call<'_>,
        token: &str,
        correlation: &str,
    ) -> Result<(u16, HeaderMap, Vec<u8>), HttpClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, bearer(token)?);
        let more = [
            ("x-correlation-id", Some(correlation)),
            ("x-idempotency-key", call.idempotency_key.as_deref()),
            ("if-match", call.if_match),
        ];
        for (name, value) in more {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        let url = self.url(call.workspace, &call.path);
        let limits = (self.retry_policy.timeout, MAX_BODY);
        self.http.json(call.method.clone(), &url, headers, call.body.clone(), limits).await
    }

    /// How long to wait before the next try: longer each time, and never all callers at once.
    fn retry_delay(&self, attempt: u32) -> Duration {
        let delay = INITIAL_RETRY_DELAY * 2_u32.saturating_pow(attempt);
        let jitter = u32::from(u16::from_be_bytes(self.random.bytes()) % 512);
        (delay / 2 + delay / 2 * jitter / 512).min(self.retry_policy.max_delay)
    }

    /// Leaves the vendor alone for a while, all callers together: its limits are the tenant's.
    fn back_off(&self, delay: Duration) {
        let until = Instant::now() + delay.min(MAX_BACKOFF);
        self.backoff_until.send_if_modified(|current| {
            let is_longer = current.is_none_or(|known| known < until);
            if is_longer {
                *current = Some(until);
            }
            is_longer
        });
    }

    /// Waits as long as the vendor asked for, or gives up at once where that is longer than the caller can wait.
    async fn wait_for_backoff(&self) -> Result<(), CallError> {
        let backoff = *self.backoff_until.borrow();
        match backoff.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(left) if left > self.retry_policy.max_delay => Err(CallError::Throttled),
            Some(left) => {
                tokio::time::sleep(left).await;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// What the vendor finds a call by.
fn trace(headers: &HeaderMap) -> &str {
    headers.get("x-trace-id").and_then(|id| id.to_str().ok()).unwrap_or_default()
}

/// A token as a header.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, HttpClientError> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| HttpClientError::Rejected("invalid_access_token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn parse_response(headers: &HeaderMap, body: &[u8]) -> Result<ApiResponse, CallError> {
    let etag = headers.get(header::ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if body.is_empty() {
        return Ok(ApiResponse { body: Value::Null, etag });
    }
    let body = serde_json::from_slice(body).map_err(|_| CallError::OutcomeUnknown("response_malformed"))?;
    Ok(ApiResponse { body, etag })
}

/// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3); none if it is something else.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.millis()).ok()?);
    Some(date.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_retry_after_formats_are_parsed() {
        let seconds = |text: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            retry_after(&headers, Timestamp::from_millis(784_111_770_000)).map(|wait| wait.as_secs())
        };
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(seconds("Sunday, 06-Nov-94 08:49:37 GMT"), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0), "a date that has passed");
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-1"), None);
    }
}
