//! Logs, metrics and traces. A log line never contains a query string, a token, a cookie, a username or an email address.

mod callback_returns;
mod causes;
mod condition;
mod issuer_calls;
pub mod metrics;
mod once_per_minute;
mod reachability;
mod request_span;
pub mod traces;

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

pub use callback_returns::{CallbackReturns, ReturnCount};
pub use causes::{causes, root_cause};
pub use condition::Condition;
pub use issuer_calls::{CallStats, IssuerCalls};
pub use metrics::Metrics;
pub use once_per_minute::OncePerMinute;
pub use reachability::Reachability;
pub use request_span::{in_request_span, note_biller, note_decision, note_reference, request_span};
pub use traces::Traces;

use crate::config::{Log, LogFormat};

/// The filter of the log that [`init`] has started.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

fn filter(log: &Log) -> EnvFilter {
    EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Starts logging to standard error. Further calls do nothing.
pub fn init(log: &Log) {
    let (filter, handle) = reload::Layer::new(filter(log));
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_span_events(FmtSpan::NONE);
    let filtered = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        // One span at a time is open; the list of spans would repeat it.
        LogFormat::Json => filtered.with(lines.json().with_span_list(false)).try_init(),
        LogFormat::Text => filtered.with(lines).try_init(),
    };
    if started.is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Applies the filter of other settings.
pub fn set_filter(log: &Log) {
    if let Some(handle) = FILTER.get()
        && let Err(error) = handle.reload(filter(log))
    {
        tracing::error!(error = %error, "the filter of the log cannot be replaced");
    }
}
