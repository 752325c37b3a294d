//! Logs and metrics. A log line never contains a query string, a token, a cookie, a username or an email address.

mod callback_returns;
mod causes;
mod condition;
mod issuer_calls;
pub mod metrics;
mod reachability;
mod request_span;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

pub use callback_returns::{CallbackReturns, ReturnCount};
pub use causes::{causes, root_cause};
pub use condition::Condition;
pub use issuer_calls::{CallStats, IssuerCalls};
pub use metrics::Metrics;
pub use reachability::Reachability;
pub use request_span::{in_request_span, note_biller, note_reference, request_span};

use crate::config::{Log, LogFormat};

/// Starts logging to standard error. Further calls do nothing.
pub fn init(log: &Log) {
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_span_events(FmtSpan::NONE);
    let _ = match log.format {
        // One span at a time is open; the list of spans would repeat it.
        LogFormat::Json => lines.json().with_span_list(false).try_init(),
        LogFormat::Text => lines.try_init(),
    };
}
