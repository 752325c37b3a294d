//! What may go wrong on the way, for tests: by rules, by latency, by lists that lag, by tokens that end at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use time::OffsetDateTime;

use crate::store::lock;
use signpost_core::Timestamp;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer instead of the effect.
    Status {
        /// HTTP status.
        status: u16,
        /// JSON body; null for none.
        body: Value,
        /// A `Retry-After` header.
        retry_after: Option<RetryAfter>,
    },
    /// What was asked is done; then it is answered with this status, as a repetition would be.
    StatusAfter(u16),
    /// The connection ends without an answer, and nothing was done.
    DropBefore,
    /// What was asked is done; then the connection ends without an answer.
    DropAfter,
    /// What was asked is done; half of the answer's body arrives.
    Truncated,
    /// 200 with something that is not JSON, and nothing was done.
    Garbage,
    /// Everything works, later: for whoever does not wait so long, nothing was done.
    Delay(Duration),
    /// What was asked is done at once; the answer comes later.
    DelayAfter(Duration),
}

/// The forms of `Retry-After`.
#[derive(Clone, Debug)]
pub enum RetryAfter {
    /// Seconds from now.
    Seconds(u64),
    /// An HTTP date.
    At(Timestamp),
    /// Anything else, such as `soon`.
    Text(String),
}

/// When something goes wrong.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// `GET`, `PUT`, …; `*` for every method.
    pub method: String,
    /// A part of the path; empty for every path.
    pub path: String,
    /// How many fitting requests pass before.
    pub after: usize,
    /// How many fitting requests then go wrong.
    pub times: usize,
    /// How.
    pub fault: Fault,
}

impl FaultRule {
    /// The next fitting request goes wrong, once.
    pub fn new(method: &str, path: &str, fault: Fault) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), after: 0, times: 1, fault }
    }

    /// Lets so many fitting requests pass before.
    #[must_use]
    pub fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }

    /// So many requests go wrong, not one.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }
}

impl Fault {
    /// A status with an error in the vendor's form.
    pub fn status(status: u16) -> Self {
        let body = serde_json::json!({
            "status_code": status, "error": "injected fault", "error_code": "injected_fault", "details": {},
        });
        Self::Status { status, body, retry_after: None }
    }

    /// 401 in the form that says the token is good no more.
    pub fn token_rejected() -> Self {
        let body = serde_json::json!({
            "status_code": 401, "error": "injected fault", "error_code": "invalid_access_token", "details": {},
        });
        Self::Status { status: 401, body, retry_after: None }
    }

    /// 429, with or without `Retry-After`.
    pub fn rate_limited(retry_after: Option<RetryAfter>) -> Self {
        match Self::status(429) {
            Self::Status { status, body, .. } => Self::Status { status, body, retry_after },
            other => other,
        }
    }
}

/// A handle on what goes wrong; copies share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rules: std::sync::Mutex<Vec<(FaultRule, usize)>>,
    latency_ms: AtomicU64,
    list_lag_ms: AtomicU64,
    token_generation: AtomicU64,
    fired: AtomicU64,
}

impl Faults {
    /// Adds a rule; of several that fit a request, the oldest one that is due decides.
    pub fn add(&self, rule: FaultRule) {
        lock(&self.0.rules).push((rule, 0));
    }

    /// Forgets all rules, latency and lag.
    pub fn clear(&self) {
        lock(&self.0.rules).clear();
        self.set_latency(Duration::ZERO);
        self.set_list_lag(Duration::ZERO);
    }

    /// How often a rule has fired.
    pub fn fired(&self) -> u64 {
        self.0.fired.load(Ordering::SeqCst)
    }

    /// Every API call takes so much longer, in real time.
    pub fn set_latency(&self, latency: Duration) {
        self.0.latency_ms.store(millis(latency), Ordering::SeqCst);
    }

    /// Lists of users leave out whoever came later than so long ago, by the stand-in's clock.
    pub fn set_list_lag(&self, lag: Duration) {
        self.0.list_lag_ms.store(millis(lag), Ordering::SeqCst);
    }

    /// All API tokens given so far are good no more.
    pub fn expire_tokens(&self) {
        self.0.token_generation.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.token_generation.load(Ordering::SeqCst)
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.0.latency_ms.load(Ordering::SeqCst))
    }

    pub(super) fn list_lag(&self) -> Duration {
        Duration::from_millis(self.0.list_lag_ms.load(Ordering::SeqCst))
    }

    /// What goes wrong with this request; every rule that fits it counts it.
    pub(super) fn next_fault(&self, method: &str, path: &str) -> Option<Fault> {
        let mut due = None;
        for (rule, hits) in lock(&self.0.rules).iter_mut() {
            if (rule.method != "*" && rule.method != method) || !path.contains(&rule.path) {
                continue;
            }
            let in_turn = (rule.after..rule.after.saturating_add(rule.times)).contains(hits);
            *hits += 1;
            if in_turn && due.is_none() {
                due = Some(rule.fault.clone());
            }
        }
        if due.is_some() {
            self.0.fired.fetch_add(1, Ordering::SeqCst);
        }
        due
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The answer of [`Fault::Status`].
pub(super) fn status(status: u16, body: &Value, retry_after: Option<&RetryAfter>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response =
        if body.is_null() { status.into_response() } else { (status, axum::Json(body.clone())).into_response() };
    let value = match retry_after {
        Some(RetryAfter::Seconds(seconds)) => Some(seconds.to_string()),
        Some(RetryAfter::At(moment)) => Some(http_date(*moment)),
        Some(RetryAfter::Text(text)) => Some(text.clone()),
        None => None,
    };
    if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// 200 with something that is not JSON.
pub(super) fn garbage() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], "<html>{\"users\": [").into_response()
}

/// An answer whose body fails at its first byte: the server ends the connection before it has written anything.
pub(super) fn dropped() -> Response {
    let failed: Result<Bytes, std::io::Error> = Err(std::io::Error::other("dropped by a rule"));
    Response::new(Body::from_stream(stream::iter([failed])))
}

/// The same answer, whose body ends in the middle.
pub(super) async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if bytes.is_empty() {
        return dropped();
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    let steps = stream::unfold(Some(half), async |half| match half {
        Some(half) if !half.is_empty() => Some((Ok(half), Some(Bytes::new()))),
        Some(_) => {
            // The server writes out what it has while it waits for more.
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Err(std::io::Error::other("truncated by a rule")), None))
        }
        None => None,
    });
    Response::from_parts(parts, Body::from_stream(steps))
}

/// A moment as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(moment: Timestamp) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(moment.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (weekday, month) = (moment.weekday().to_string(), moment.month().to_string());
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        &weekday[..3],
        moment.day(),
        &month[..3],
        moment.year(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_follow_rfc_9110() {
        assert_eq!(http_date(Timestamp::from_millis(784_111_777_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn rules_count_matching_requests() {
        let faults = Faults::default();
        faults.add(FaultRule::new("PUT", "/configuration", Fault::Garbage).after(1).times(2));
        let hit = |method, path| faults.next_fault(method, path).is_some();
        assert!(!hit("PUT", "/api/identity/t/configuration"), "the first passes");
        assert!(!hit("GET", "/api/identity/t/configuration"), "another method");
        assert!(hit("PUT", "/api/identity/t/configuration"));
        assert!(hit("PUT", "/api/identity/t/configuration"));
        assert!(!hit("PUT", "/api/identity/t/configuration"), "used up");
        assert_eq!(faults.fired(), 2);
    }
}
