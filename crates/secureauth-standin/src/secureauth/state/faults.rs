//! Fault injection for the management API: faults by rule, latency, lists that lag behind, tokens that expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::store::lock;
use signpost_core::Timestamp;

/// What happens to a request. "Before" and "after" mean before and after the request takes effect.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This response; the request has no effect.
    Status {
        status: u16,
        /// JSON body; null for none.
        body: Value,
        retry_after: Option<RetryAfter>,
    },
    /// The request takes effect, but the response has this status.
    StatusAfter(u16),
    /// The connection closes without a response.
    DropBefore,
    /// The request takes effect, then the connection closes without a response.
    DropAfter,
    /// The request takes effect; the connection closes after half of the response's body.
    Truncated,
    /// 200 with a body that is not JSON; the request has no effect.
    Garbage,
    /// The request waits, then takes effect. If the client disconnects meanwhile, it has no effect.
    Delay(Duration),
    /// The request takes effect at once; the response is delayed.
    DelayAfter(Duration),
    /// 400 for a request with the query parameter `mode`; other requests pass.
    ModeRefused,
    /// The query parameter `mode` counts as `ignore`, whatever it says.
    ModeIgnored,
    /// The request takes effect without this field of its body, as in a version of the vendor's that does not know the field.
    FieldIgnored(&'static str),
}

/// Forms of the header `Retry-After`.
#[derive(Clone, Debug)]
pub enum RetryAfter {
    Seconds(u64),
    /// An HTTP date.
    At(Timestamp),
    /// An invalid value, such as `soon`.
    Text(String),
}

/// A fault and the requests that it applies to.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// `GET`, `PUT`, …; `*` for every method.
    pub method: String,
    /// A part of the path; empty for every path.
    pub path: String,
    /// How many matching requests pass first.
    pub after: usize,
    /// How many matching requests then get the fault.
    pub times: usize,
    pub fault: Fault,
}

impl FaultRule {
    /// Applies to the next matching request, once.
    pub fn new(method: &str, path: &str, fault: Fault) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), after: 0, times: 1, fault }
    }

    #[must_use]
    pub fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }

    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }
}

impl Fault {
    /// An error in the vendor's form.
    pub fn status(status: u16) -> Self {
        let body = serde_json::json!({
            "status_code": status, "error": "injected fault", "error_code": "injected_fault", "details": {},
        });
        Self::Status { status, body, retry_after: None }
    }

    /// The 401 of an expired token.
    pub fn token_rejected() -> Self {
        let body = serde_json::json!({
            "status_code": 401, "error": "injected fault", "error_code": "invalid_access_token", "details": {},
        });
        Self::Status { status: 401, body, retry_after: None }
    }

    /// 429.
    pub fn rate_limited(retry_after: Option<RetryAfter>) -> Self {
        match Self::status(429) {
            Self::Status { status, body, .. } => Self::Status { status, body, retry_after },
            other => other,
        }
    }
}

/// Fault injection. Clones share their state.
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
    /// Adds a rule. If several rules match a request, the oldest one that is due applies.
    pub fn add(&self, rule: FaultRule) {
        lock(&self.0.rules).push((rule, 0));
    }

    /// Removes all rules, latency and lag.
    pub fn clear(&self) {
        lock(&self.0.rules).clear();
        self.set_latency(Duration::ZERO);
        self.set_list_lag(Duration::ZERO);
    }

    /// How many faults were injected.
    pub fn fired(&self) -> u64 {
        self.0.fired.load(Ordering::SeqCst)
    }

    /// Delays every API call, in real time.
    pub fn set_latency(&self, latency: Duration) {
        self.0.latency_ms.store(millis(latency), Ordering::SeqCst);
    }

    /// Lists of users omit those created less than `lag` ago by the stand-in's clock.
    pub fn set_list_lag(&self, lag: Duration) {
        self.0.list_lag_ms.store(millis(lag), Ordering::SeqCst);
    }

    /// Expires all API tokens issued so far.
    pub fn expire_tokens(&self) {
        self.0.token_generation.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.0.token_generation.load(Ordering::SeqCst)
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.0.latency_ms.load(Ordering::SeqCst))
    }

    pub(crate) fn list_lag(&self) -> Duration {
        Duration::from_millis(self.0.list_lag_ms.load(Ordering::SeqCst))
    }

    /// The fault for a request. Every matching rule counts the request.
    pub(crate) fn next_fault(&self, method: &str, path: &str) -> Option<Fault> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_matching_requests() {
        let faults = Faults::default();
        faults.add(FaultRule::new("PUT", "/configuration", Fault::Garbage).after(1).times(2));
        let hit = |method, path| faults.next_fault(method, path).is_some();
        assert!(!hit("PUT", "/api/identity/t/configuration"), "the first request passes");
        assert!(!hit("GET", "/api/identity/t/configuration"), "another method");
        assert!(hit("PUT", "/api/identity/t/configuration"));
        assert!(hit("PUT", "/api/identity/t/configuration"));
        assert!(!hit("PUT", "/api/identity/t/configuration"), "all faults injected");
        assert_eq!(faults.fired(), 2);
    }
}
