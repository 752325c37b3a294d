//! One call: access token, retries and rate limits.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method, header};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{Management, Workspace};
use super::endpoints::{endpoint, failure, outcome};
use super::error::{CallError, Rejection};
use crate::secureauth::HttpClientError;
use crate::secureauth::http::bearer;
use crate::telemetry::traces::{self, NewSpan};
use signpost_core::Timestamp;

/// Bounds the wait that SecureAuth can ask for.
const MAX_BACKOFF: Duration = Duration::from_secs(15 * 60);
const INITIAL_RETRY_DELAY: Duration = Duration::from_millis(200);
/// Enough for a page of a hundred users.
const MAX_BODY: usize = 8 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    workspace: Workspace,
    method: Method,
    path: String,
    /// JSON
    body: Option<Vec<u8>>,
    /// For POST: SecureAuth repeats its first response to a call that is repeated within a minute.
    idempotency_key: Option<String>,
    /// The expected version of the resource, from its `ETag`.
    if_match: Option<&'a str>,
    /// Its 401 may reject the user's password or code instead of the access token.
    verifies_user_secret: bool,
}

pub(super) struct ApiResponse {
    /// The body of a 2xx, or null.
    pub body: Value,
    /// The version of the resource.
    pub etag: Option<String>,
}

impl<'a> Call<'a> {
    pub(super) fn new(workspace: Workspace, method: Method, path: String) -> Self {
        let (body, idempotency_key, if_match) = (None, None, None);
        Self { workspace, method, path, body, idempotency_key, if_match, verifies_user_secret: false }
    }

    pub(super) fn body(self, body: &impl Serialize) -> Self {
        // All bodies are serializable.
        Self { body: Some(serde_json::to_vec(body).unwrap_or_default()), ..self }
    }

    pub(super) fn idempotency_key(self, key: String) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }

    /// The call changes nothing if the resource has another version.
    pub(super) fn if_match(self, version: Option<&'a str>) -> Self {
        Self { if_match: version, ..self }
    }

    pub(super) fn verifies_user_secret(self) -> Self {
        Self { verifies_user_secret: true, ..self }
    }
}

impl Management {
    /// Makes a call. Returns the body of a 2xx, or null.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Value, CallError> {
        self.call_with_etag(call).await.map(|response| response.body)
    }

    /// Also returns the version of the resource.
    pub(super) async fn call_with_etag(&self, call: Call<'_>) -> Result<ApiResponse, CallError> {
        // One for all attempts. SecureAuth copies it into its audit events, and the log has it.
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
            self.check_lease()?;
            let sent = self.counted(&call, self.send_once(&call, &token, &correlation)).await;
            let (wait, error) = match sent {
                Ok((200..300, headers, body)) => return parse_response(&headers, &body),
                Ok((401, _, body)) => {
                    let rejection = Rejection::read(401, &body);
                    if call.verifies_user_secret && rejection.code != "invalid_access_token" {
                        return Err(CallError::Rejected(rejection));
                    }
                    // The token has expired or was revoked. One retry with a new one.
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
                    tracing::warn!(error = %error, trace = trace(&headers), correlation, "a management API call failed");
                    (self.retry_delay(attempt), error)
                }
                Ok((status, headers, body)) => {
                    let rejection = Rejection::read(status, &body);
                    tracing::debug!(rejection = %rejection, trace = trace(&headers), correlation, "a management API call was rejected");
                    return Err(CallError::Rejected(rejection));
                }
                Err(error) => {
                    tracing::warn!(error = %error, correlation, "a management API call failed");
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

    /// The owner of an expired lease makes no call.
    fn check_lease(&self) -> Result<(), CallError> {
        let is_expired = self.lease.as_ref().is_some_and(|lease| !lease.is_held(self.clock.now()));
        if is_expired { Err(CallError::OutcomeUnknown("lease_expired")) } else { Ok(()) }
    }

    /// Counts an attempt.
    async fn counted<T>(
        &self,
        call: &Call<'_>,
        attempt: impl Future<Output = Result<(u16, HeaderMap, T), HttpClientError>>,
    ) -> Result<(u16, HeaderMap, T), HttpClientError> {
        let started = Instant::now();
        let labels = (endpoint(&call.path), call.method.as_str());
        let span = traces::begin(|| NewSpan::step("call management API").with("signpost.endpoint", labels.0));
        let done = span.scope(attempt).await;
        let outcome = done.as_ref().map_or_else(|error| failure(*error), |(status, ..)| outcome(*status));
        if outcome != "success" {
            span.fail(outcome);
        }
        self.metrics.record_management_call(labels, outcome, started.elapsed());
        done
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

    /// The delay before the next attempt: exponential, with jitter.
    fn retry_delay(&self, attempt: u32) -> Duration {
        let delay = INITIAL_RETRY_DELAY * 2_u32.saturating_pow(attempt);
        let jitter = u32::from(u16::from_be_bytes(self.random.bytes()) % 512);
        (delay / 2 + delay / 2 * jitter / 512).min(self.retry_policy.max_delay)
    }

    /// Makes all callers wait: SecureAuth's rate limits apply to the whole tenant.
    pub(super) fn back_off(&self, delay: Duration) {
        let until = Instant::now() + delay.min(MAX_BACKOFF);
        self.backoff_until.send_if_modified(|current| {
            let is_longer = current.is_none_or(|known| known < until);
            if is_longer {
                *current = Some(until);
            }
            is_longer
        });
    }

    /// Waits as long as SecureAuth asked, or fails at once if that is longer than the caller can wait.
    pub(super) async fn wait_for_backoff(&self) -> Result<(), CallError> {
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

/// SecureAuth's id of a request.
fn trace(headers: &HeaderMap) -> &str {
    headers.get("x-trace-id").and_then(|id| id.to_str().ok()).unwrap_or_default()
}

fn parse_response(headers: &HeaderMap, body: &[u8]) -> Result<ApiResponse, CallError> {
    let etag = headers.get(header::ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if body.is_empty() {
        return Ok(ApiResponse { body: Value::Null, etag });
    }
    let body = serde_json::from_slice(body).map_err(|_| CallError::OutcomeUnknown("response_malformed"))?;
    Ok(ApiResponse { body, etag })
}

/// Parses `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
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
