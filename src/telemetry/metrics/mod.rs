//! Metrics of this process, in the Prometheus text format. Labels have bounded values and never name a user
//! (docs/adr/0011-metrics.md).

pub mod series;
mod snapshot;

use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
pub use series::{Series, SeriesKind};
pub use snapshot::Snapshot;

/// Upper bounds in seconds. The last ones are the timeouts of requests.
const HTTP_BUCKETS: [f64; 12] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 20.0];
/// Upper bounds in seconds, fewer because each biller has its own. A call takes at most `oidc.timeout_seconds`.
const ISSUER_BUCKETS: [f64; 8] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Upper bounds in seconds. A call takes at most `secureauth.timeout_seconds`; imports take longest.
const MANAGEMENT_BUCKETS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds in seconds. Requests wait two seconds at most.
const WAIT_BUCKETS: [f64; 8] = [0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.0];

/// The listener that a request came in at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Public,
    Console,
}

impl Listener {
    fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Console => "console",
        }
    }
}

/// An endpoint of an identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Discovery,
    Jwks,
    /// RFC 9126.
    PushedAuthorization,
    Token,
    UserInfo,
}

impl Endpoint {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::PushedAuthorization => "pushed_authorization",
            Self::Token => "token",
            Self::UserInfo => "userinfo",
        }
    }
}

/// What a handoff is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoffKind {
    Portal,
    Legacy,
    LegacyReset,
}

impl HandoffKind {
    const ALL: [Self; 3] = [Self::Portal, Self::Legacy, Self::LegacyReset];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Portal => "portal",
            Self::Legacy => "legacy",
            Self::LegacyReset => "legacy_reset",
        }
    }
}

/// Why spans were not exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DroppedSpans {
    /// They ended faster than they were exported.
    QueueFull,
    /// The collector was away, or refused their batch.
    Failed,
    /// The collector took their batch without them.
    Rejected,
}

impl DroppedSpans {
    const ALL: [Self; 3] = [Self::QueueFull, Self::Failed, Self::Rejected];

    fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Failed => "export_failed",
            Self::Rejected => "rejected",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    listener: &'static str,
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    listener: &'static str,
    route: String,
    method: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DecisionLabels {
    row: u8,
    rule: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BillerLabels {
    biller: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    biller: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    biller: String,
    endpoint: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndpointLabels {
    biller: String,
    endpoint: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ManagementCallLabels {
    endpoint: &'static str,
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ManagementEndpointLabels {
    endpoint: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
}

/// How long callers wait for a connection, by pool.
#[derive(Clone, Debug)]
pub struct PoolWaits(Family<PoolLabels, Histogram>);

impl Default for PoolWaits {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(WAIT_BUCKETS)))
    }
}

impl PoolWaits {
    pub fn of(&self, pool: &'static str) -> PoolWait {
        PoolWait(self.0.get_or_create_owned(&PoolLabels { pool }))
    }
}

/// How long callers wait for a connection of one pool.
#[derive(Clone, Debug)]
pub struct PoolWait(Histogram);

impl PoolWait {
    /// Measures a wait, whether or not it succeeds.
    pub async fn measure<T>(&self, wait: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = wait.await;
        self.0.observe(started.elapsed().as_secs_f64());
        done
    }
}

/// Why a connection to the public listener was closed before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    UntrustedPeer,
    ProxyHeader,
}

impl ConnectionRefusal {
    const ALL: [Self; 2] = [Self::UntrustedPeer, Self::ProxyHeader];

    fn as_str(self) -> &'static str {
        match self {
            Self::UntrustedPeer => "untrusted_peer",
            Self::ProxyHeader => "proxy_header",
        }
    }
}

/// The connections that were refused, by reason.
#[derive(Clone, Debug, Default)]
pub struct RefusedConnections(Family<ReasonLabels, Counter>);

impl RefusedConnections {
    pub fn record(&self, refusal: ConnectionRefusal) {
        self.0.get_or_create(&ReasonLabels { reason: refusal.as_str() }).inc();
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SourceLabels {
    source: &'static str,
}

/// The counters and histograms of this process. Recording takes a shared lock and an atomic addition.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<RouteLabels, Histogram>,
    decisions: Family<DecisionLabels, Counter>,
    sign_ins_started: Family<BillerLabels, Counter>,
    sign_ins_completed: Family<BillerLabels, Counter>,
    sign_ins_refused: Family<RefusalLabels, Counter>,
    issuer_calls: Family<CallLabels, Counter>,
    issuer_call_duration: Family<EndpointLabels, Histogram>,
    management_calls: Family<ManagementCallLabels, Counter>,
    management_call_duration: Family<ManagementEndpointLabels, Histogram>,
    handoffs_issued: Family<KindLabels, Counter>,
    handoffs_redeemed: Family<KindLabels, Counter>,
    handoffs_rejected: Counter,
    refused_connections: RefusedConnections,
    shed: Counter,
    decision_log_dropped: Counter,
    scrape_failures: Family<SourceLabels, Counter>,
    reloads: Family<OutcomeLabels, Counter>,
    trace_spans_exported: Counter,
    trace_spans_dropped: Family<ReasonLabels, Counter>,
}

impl Metrics {
    pub fn new(waits: &PoolWaits) -> Self {
        let mut registry = Registry::default();
        register(&mut registry, &series::DATABASE_WAIT, waits.0.clone());
        let registry_ref = &mut registry;
        let metrics = Self {
            requests: register(registry_ref, &series::HTTP_REQUESTS, Family::default()),
            request_duration: register(
                registry_ref,
                &series::HTTP_DURATION,
                Family::new_with_constructor(|| Histogram::new(HTTP_BUCKETS)),
            ),
            decisions: register(registry_ref, &series::DECISIONS, Family::default()),
            sign_ins_started: register(registry_ref, &series::SIGN_INS_STARTED, Family::default()),
            sign_ins_completed: register(registry_ref, &series::SIGN_INS_COMPLETED, Family::default()),
            sign_ins_refused: register(registry_ref, &series::SIGN_INS_REFUSED, Family::default()),
            issuer_calls: register(registry_ref, &series::ISSUER_CALLS, Family::default()),
            issuer_call_duration: register(
                registry_ref,
                &series::ISSUER_CALL_DURATION,
                Family::new_with_constructor(|| Histogram::new(ISSUER_BUCKETS)),
            ),
            management_calls: register(registry_ref, &series::MANAGEMENT_CALLS, Family::default()),
            management_call_duration: register(
                registry_ref,
                &series::MANAGEMENT_CALL_DURATION,
                Family::new_with_constructor(|| Histogram::new(MANAGEMENT_BUCKETS)),
            ),
            handoffs_issued: register(registry_ref, &series::HANDOFFS_ISSUED, Family::default()),
            handoffs_redeemed: register(registry_ref, &series::HANDOFFS_REDEEMED, Family::default()),
            handoffs_rejected: register(registry_ref, &series::HANDOFFS_REJECTED, Counter::default()),
            refused_connections: RefusedConnections(register(
                registry_ref,
                &series::CONNECTIONS_REFUSED,
                Family::default(),
            )),
            shed: register(registry_ref, &series::HTTP_SHED, Counter::default()),
            decision_log_dropped: register(registry_ref, &series::DECISION_LOG_DROPPED, Counter::default()),
            scrape_failures: register(registry_ref, &series::SCRAPE_FAILURES, Family::default()),
            reloads: register(registry_ref, &series::CONFIG_RELOADS, Family::default()),
            trace_spans_exported: register(registry_ref, &series::TRACE_SPANS_EXPORTED, Counter::default()),
            trace_spans_dropped: register(registry_ref, &series::TRACE_SPANS_DROPPED, Family::default()),
            registry,
        };
        for kind in HandoffKind::ALL {
            drop(metrics.handoffs_issued.get_or_create(&KindLabels { kind: kind.as_str() }));
            drop(metrics.handoffs_redeemed.get_or_create(&KindLabels { kind: kind.as_str() }));
        }
        for reason in DroppedSpans::ALL {
            metrics.record_dropped_spans(reason, 0);
        }
        for refusal in ConnectionRefusal::ALL {
            drop(metrics.refused_connections.0.get_or_create(&ReasonLabels { reason: refusal.as_str() }));
        }
        for is_success in [true, false] {
            drop(metrics.reloads.get_or_create(&reload_outcome(is_success)));
        }
        metrics
    }

    /// A request whose response begins now. `route` is its pattern.
    pub fn record_request(&self, listener: Listener, route: &str, method: &str, status: u16, duration: Duration) {
        let (listener, route, method) = (listener.as_str(), route.to_owned(), known_method(method));
        let of_route = RouteLabels { listener, route: route.clone(), method };
        self.request_duration.get_or_create(&of_route).observe(duration.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { listener, route, method, status }).inc();
    }

    pub fn record_decision(&self, row: u8, rule: &'static str) {
        self.decisions.get_or_create(&DecisionLabels { row, rule }).inc();
    }

    /// `biller` is the slug of a biller that exists, as everywhere here.
    pub fn record_sign_in_started(&self, biller: &str) {
        self.sign_ins_started.get_or_create(&BillerLabels { biller: biller.to_owned() }).inc();
    }

    pub fn record_sign_in_completed(&self, biller: &str) {
        self.sign_ins_completed.get_or_create(&BillerLabels { biller: biller.to_owned() }).inc();
    }

    pub fn record_sign_in_refused(&self, biller: &str, reason: &'static str) {
        self.sign_ins_refused.get_or_create(&RefusalLabels { biller: biller.to_owned(), reason }).inc();
    }

    /// `outcome` is `success` or the reason of the failure.
    pub fn record_issuer_call(&self, biller: &str, endpoint: Endpoint, outcome: &'static str, duration: Duration) {
        let (biller, endpoint) = (biller.to_owned(), endpoint.as_str());
        let of_endpoint = EndpointLabels { biller: biller.clone(), endpoint };
        self.issuer_call_duration.get_or_create(&of_endpoint).observe(duration.as_secs_f64());
        self.issuer_calls.get_or_create(&CallLabels { biller, endpoint, outcome }).inc();
    }

    /// A call to SecureAuth's management API. `outcome` is `success` or why it failed.
    pub fn record_management_call(
        &self,
        (endpoint, method): (&'static str, &str),
        outcome: &'static str,
        duration: Duration,
    ) {
        let method = known_method(method);
        let of_endpoint = ManagementEndpointLabels { endpoint, method };
        self.management_call_duration.get_or_create(&of_endpoint).observe(duration.as_secs_f64());
        self.management_calls.get_or_create(&ManagementCallLabels { endpoint, method, outcome }).inc();
    }

    pub fn record_handoff_issued(&self, kind: HandoffKind) {
        self.handoffs_issued.get_or_create(&KindLabels { kind: kind.as_str() }).inc();
    }

    /// `None`: the token was rejected.
    pub fn record_handoff_redeemed(&self, kind: Option<HandoffKind>) {
        match kind {
            Some(kind) => self.handoffs_redeemed.get_or_create(&KindLabels { kind: kind.as_str() }).inc(),
            None => self.handoffs_rejected.inc(),
        };
    }

    pub fn refused_connections(&self) -> RefusedConnections {
        self.refused_connections.clone()
    }

    pub fn record_shed_request(&self) {
        self.shed.inc();
    }

    pub(super) fn record_exported_spans(&self, count: u64) {
        self.trace_spans_exported.inc_by(count);
    }

    pub(super) fn record_dropped_spans(&self, reason: DroppedSpans, count: u64) {
        self.trace_spans_dropped.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc_by(count);
    }

    pub fn record_dropped_decisions(&self, count: u64) {
        self.decision_log_dropped.inc_by(count);
    }

    pub fn record_scrape_failure(&self, source: &'static str) {
        self.scrape_failures.get_or_create(&SourceLabels { source }).inc();
    }

    pub fn record_reload(&self, is_success: bool) {
        self.reloads.get_or_create(&reload_outcome(is_success)).inc();
    }

    /// Lets the counters of a biller begin at 0, so that a rate sees the first event.
    pub fn prepare_biller(&self, biller: &str) {
        let labels = BillerLabels { biller: biller.to_owned() };
        drop(self.sign_ins_started.get_or_create(&labels));
        drop(self.sign_ins_completed.get_or_create(&labels));
    }

    /// Everything in the Prometheus text format ([`CONTENT_TYPE`]), with the values of a snapshot.
    pub fn encode(&self, snapshot: &Snapshot) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        prometheus_text::encode(&mut text, &snapshot.registry())?;
        Ok(text)
    }
}

fn reload_outcome(is_success: bool) -> OutcomeLabels {
    OutcomeLabels { outcome: if is_success { "success" } else { "failure" } }
}

fn register<M: Metric + Clone>(registry: &mut Registry, series: &Series, metric: M) -> M {
    registry.register(series.base(), series.help, metric.clone());
    metric
}

/// A client can send any method.
pub(super) fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_histograms_are_encoded_as_text() {
        let waits = PoolWaits::default();
        let metrics = Metrics::new(&waits);
        waits.of("read");
        metrics.record_request(Listener::Public, "/b/{slug}", "GET", 303, Duration::from_millis(7));
        metrics.record_request(Listener::Public, "/b/{slug}", "BREW", 405, Duration::from_secs(60));
        let mut snapshot = Snapshot::default();
        snapshot.set(&series::QUEUE_ENTRIES, ["mail"], 3.0);
        let text = metrics.encode(&snapshot).unwrap();
        for line in [
            "# TYPE signpost_http_requests_total counter",
            r#"signpost_http_requests_total{listener="public",route="/b/{slug}",method="GET",status="303"} 1"#,
            r#"signpost_http_requests_total{listener="public",route="/b/{slug}",method="other",status="405"} 1"#,
            r#"signpost_http_request_duration_seconds_bucket{listener="public",route="/b/{slug}",method="GET",le="0.005"} 0"#,
            r#"signpost_http_request_duration_seconds_bucket{listener="public",route="/b/{slug}",method="GET",le="0.01"} 1"#,
            r#"signpost_http_request_duration_seconds_bucket{listener="public",route="/b/{slug}",method="other",le="+Inf"} 1"#,
            "signpost_handoffs_rejected_total 0",
            r#"signpost_database_wait_seconds_count{pool="read"} 0"#,
            r#"signpost_queue_entries{queue="mail"} 3.0"#,
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("signpost_sessions"), "nothing stands for a value that is not known:\n{text}");
    }
}
