//! The table of series. `signpost generate` documents it, and tests compare it with what `/metrics` answers.

/// A metric with its labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Series {
    /// Without the suffix that the format adds to counters and histograms.
    base: &'static str,
    pub kind: SeriesKind,
    pub labels: &'static [&'static str],
    /// What it measures, without a full stop.
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesKind {
    Counter,
    Gauge,
    Histogram,
}

impl SeriesKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Series {
    const fn counter(base: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { base, kind: SeriesKind::Counter, labels, help }
    }

    const fn gauge(base: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { base, kind: SeriesKind::Gauge, labels, help }
    }

    const fn histogram(base: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { base, kind: SeriesKind::Histogram, labels, help }
    }

    pub(super) fn base(&self) -> &'static str {
        self.base
    }

    /// The name in queries. A histogram's samples add `_bucket`, `_sum` and `_count`.
    pub fn name(&self) -> String {
        match self.kind {
            SeriesKind::Counter => format!("{}_total", self.base),
            SeriesKind::Gauge | SeriesKind::Histogram => self.base.to_owned(),
        }
    }
}

pub const BUILD_INFO: Series =
    Series::gauge("signpost_build_info", &["version"], "Always 1. The label has the version");
pub const HTTP_REQUESTS: Series = Series::counter(
    "signpost_http_requests",
    &["listener", "route", "method", "status"],
    "Requests answered. The route is the pattern, or `-` where none matches",
);
pub const HTTP_DURATION: Series = Series::histogram(
    "signpost_http_request_duration_seconds",
    &["listener", "route", "method"],
    "Time until the response begins",
);
pub const DECISIONS: Series = Series::counter(
    "signpost_decisions",
    &["row", "rule"],
    "Routing decisions for customers, by row of the routing table and the rule that decided",
);
pub const SIGN_INS_STARTED: Series =
    Series::counter("signpost_sign_ins_started", &["biller"], "Customers sent to the biller's identity provider");
pub const SIGN_INS_COMPLETED: Series =
    Series::counter("signpost_sign_ins_completed", &["biller"], "Customers signed in and sent to the portal");
pub const SIGN_INS_REFUSED: Series = Series::counter(
    "signpost_sign_ins_refused",
    &["biller", "reason"],
    "Sign-ins that ended without a session. The reason is the word of the log and of the decision record. The biller is empty if \
     the request named none that exists",
);
pub const ISSUER_CALLS: Series = Series::counter(
    "signpost_issuer_calls",
    &["biller", "endpoint", "outcome"],
    "Calls to identity providers. The outcome is `success` or the reason of the failure. The biller is empty for the sign-in of staff. \
     Readiness checks redeem a made-up code: the outcome `invalid_grant` is what they expect",
);
pub const ISSUER_CALL_DURATION: Series = Series::histogram(
    "signpost_issuer_call_duration_seconds",
    &["biller", "endpoint"],
    "Duration of calls to identity providers",
);
pub const MANAGEMENT_CALLS: Series = Series::counter(
    "signpost_management_calls",
    &["endpoint", "method", "outcome"],
    "Calls to SecureAuth's management API, each attempt by itself. The endpoint is the kind of resource, or `token`. The outcome is \
     `success`, `not_found`, `rejected` (another 4xx), `throttled`, `server_error` or why there was no response",
);
pub const MANAGEMENT_CALL_DURATION: Series = Series::histogram(
    "signpost_management_call_duration_seconds",
    &["endpoint", "method"],
    "Duration of calls to SecureAuth's management API",
);
pub const CIRCUIT_BREAKER_OPEN: Series = Series::gauge(
    "signpost_issuer_circuit_breaker_open",
    &["biller"],
    "1 while the circuit breaker of an active biller's identity provider is open, otherwise 0",
);
pub const SETUP_FAULT: Series = Series::gauge(
    "signpost_issuer_setup_fault",
    &["biller", "reason"],
    "1 while every sign-in at the biller meets this fault of its registration or identity provider; docs/reference/diagnosis.md \
     has the reasons",
);
pub const HANDOFFS_ISSUED: Series = Series::counter(
    "signpost_handoffs_issued",
    &["kind"],
    "Handoff tokens issued: `portal`, `legacy` or `legacy_reset`",
);
pub const HANDOFFS_REDEEMED: Series =
    Series::counter("signpost_handoffs_redeemed", &["kind"], "Handoff tokens redeemed, by the same kinds");
pub const HANDOFFS_REJECTED: Series = Series::counter(
    "signpost_handoffs_rejected",
    &[],
    "Handoff tokens rejected: unknown, expired, consumed, or not for this API key",
);
pub const SESSIONS: Series =
    Series::gauge("signpost_sessions", &["kind"], "Live sessions of all instances: `customer` or `staff`");
pub const JOBS: Series = Series::gauge("signpost_jobs", &["state"], "Enablement jobs by state");
pub const QUEUE_ENTRIES: Series = Series::gauge(
    "signpost_queue_entries",
    &["queue"],
    "Entries that wait: `mail`, `user_changes`, `jobs` (open enablement jobs) or `decision_log` (of this instance)",
);
pub const QUEUE_FAILING: Series = Series::gauge(
    "signpost_queue_failing_entries",
    &["queue"],
    "Waiting entries that have failed at least once: `mail` or `user_changes`",
);
pub const QUEUE_OLDEST_AGE: Series = Series::gauge(
    "signpost_queue_oldest_age_seconds",
    &["queue"],
    "Age of the oldest waiting entry; 0 while the queue is empty",
);
pub const CONNECTIONS_REFUSED: Series = Series::counter(
    "signpost_connections_refused",
    &["reason"],
    "Connections closed before their first request with server.proxy_protocol: `untrusted_peer` (not in server.trusted_proxies) or \
     `proxy_header` (a trusted proxy sent no valid PROXY header in time)",
);
pub const HTTP_SHED: Series = Series::counter(
    "signpost_http_requests_shed",
    &[],
    "Requests refused with 503 because the instance was working on server.max_requests others",
);
pub const DECISION_LOG_DROPPED: Series = Series::counter(
    "signpost_decision_log_dropped_entries",
    &[],
    "Decisions that were not recorded because the queue of this instance was full",
);
pub const TRACE_SPANS_EXPORTED: Series =
    Series::counter("signpost_trace_spans_exported", &[], "Spans that the collector of traces took");
pub const TRACE_SPANS_DROPPED: Series = Series::counter(
    "signpost_trace_spans_dropped",
    &["reason"],
    "Spans that were not exported: `queue_full`, `export_failed` if the collector took no batch, or `rejected` by it",
);
pub const DATABASE_CONNECTIONS: Series = Series::gauge(
    "signpost_database_connections",
    &["pool", "state"],
    "Open connections of this instance, `in_use` or `idle`. The pool is `postgres`, or `read` or `write` on SQLite",
);
pub const DATABASE_MAX_CONNECTIONS: Series =
    Series::gauge("signpost_database_max_connections", &["pool"], "Most connections that the pool opens");
pub const DATABASE_WAIT: Series = Series::histogram(
    "signpost_database_wait_seconds",
    &["pool"],
    "Wait for a free connection. For transactions on SQLite it includes the wait for the write lock",
);
pub const DATABASE_WAL: Series =
    Series::gauge("signpost_database_wal_bytes", &[], "Size of the write-ahead log. SQLite only");
pub const SCRAPE_FAILURES: Series = Series::counter(
    "signpost_scrape_failures",
    &["source"],
    "Reads for a scrape that failed or took too long. The gauges of the source are missing from that scrape",
);

pub const CONFIG_RELOADS: Series = Series::counter(
    "signpost_config_reloads",
    &["outcome"],
    "Reloads of the settings: `success`, or `failure` where the previous ones stay in effect",
);
pub const CONFIG_LOADED: Series = Series::gauge(
    "signpost_config_loaded_timestamp_seconds",
    &[],
    "When the settings in effect were read, at the start or by the last reload that succeeded, in Unix time",
);
pub const PROCESS_CPU: Series =
    Series::counter("process_cpu_seconds", &[], "User and system CPU time of the process, in seconds");
pub const PROCESS_RESIDENT_MEMORY: Series =
    Series::gauge("process_resident_memory_bytes", &[], "Resident memory of the process");
pub const PROCESS_OPEN_FDS: Series = Series::gauge("process_open_fds", &[], "Open file descriptors of the process");
pub const PROCESS_MAX_FDS: Series =
    Series::gauge("process_max_fds", &[], "Most file descriptors that the process can open");
pub const PROCESS_START_TIME: Series =
    Series::gauge("process_start_time_seconds", &[], "When the process started, in Unix time");

/// Every series, in the order of the documentation.
pub const ALL: [&Series; 38] = [
    &BUILD_INFO,
    &HTTP_REQUESTS,
    &HTTP_DURATION,
    &DECISIONS,
    &SIGN_INS_STARTED,
    &SIGN_INS_COMPLETED,
    &SIGN_INS_REFUSED,
    &ISSUER_CALLS,
    &ISSUER_CALL_DURATION,
    &MANAGEMENT_CALLS,
    &MANAGEMENT_CALL_DURATION,
    &CIRCUIT_BREAKER_OPEN,
    &SETUP_FAULT,
    &HANDOFFS_ISSUED,
    &HANDOFFS_REDEEMED,
    &HANDOFFS_REJECTED,
    &SESSIONS,
    &JOBS,
    &QUEUE_ENTRIES,
    &QUEUE_FAILING,
    &QUEUE_OLDEST_AGE,
    &CONNECTIONS_REFUSED,
    &HTTP_SHED,
    &DECISION_LOG_DROPPED,
    &TRACE_SPANS_EXPORTED,
    &TRACE_SPANS_DROPPED,
    &DATABASE_CONNECTIONS,
    &DATABASE_MAX_CONNECTIONS,
    &DATABASE_WAIT,
    &DATABASE_WAL,
    &SCRAPE_FAILURES,
    &CONFIG_RELOADS,
    &CONFIG_LOADED,
    &PROCESS_CPU,
    &PROCESS_RESIDENT_MEMORY,
    &PROCESS_OPEN_FDS,
    &PROCESS_MAX_FDS,
    &PROCESS_START_TIME,
];
