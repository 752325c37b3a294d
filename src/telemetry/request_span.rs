//! The span of a request. Every line that is logged inside it carries its fields; docs/reference/logging.md names them.

use tracing::Span;
use tracing::field::Empty;

use super::traces::RequestTrace;

/// Opens the span of a request. It is enabled at every level, so that a warning carries the fields even if the request line is
/// filtered out.
pub fn request_span(request: &str, method: &str, route: &str, trace: Option<&str>) -> Span {
    let span = tracing::error_span!(
        "http",
        request,
        method,
        route,
        trace = Empty,
        biller = Empty,
        row = Empty,
        rule = Empty,
        reference = Empty
    );
    if let Some(trace) = trace {
        span.record("trace", trace);
    }
    span
}

tokio::task_local! {
    /// The span of the request that the task serves, and what it says already.
    static CURRENT: CurrentRequest;
}

struct CurrentRequest {
    span: Span,
    trace: RequestTrace,
    biller: std::cell::RefCell<Option<String>>,
}

/// Runs a request inside its spans.
pub async fn in_request_span<T>(span: Span, trace: &RequestTrace, work: impl Future<Output = T>) -> T {
    use tracing::Instrument;
    let current = CurrentRequest { span: span.clone(), trace: trace.clone(), biller: std::cell::RefCell::default() };
    CURRENT.scope(current, trace.scope(work.instrument(span))).await
}

/// Adds the biller that the request is about. Outside of a request it does nothing.
pub fn note_biller(slug: &str) {
    // An error means that no request is served.
    let _ = CURRENT.try_with(|current| {
        let mut known = current.biller.borrow_mut();
        if known.as_deref() != Some(slug) {
            current.span.record("biller", slug);
            current.trace.note("signpost.biller", slug.to_owned());
            *known = Some(slug.to_owned());
        }
    });
}

/// Adds the routing decision of the request. Outside of a request it does nothing.
pub fn note_decision(row: u8, rule: &'static str) {
    let _ = CURRENT.try_with(|current| {
        current.span.record("row", row).record("rule", rule);
        current.trace.note("signpost.decision.row", i64::from(row));
        current.trace.note("signpost.decision.rule", rule);
    });
}

/// Adds the reference code that the response shows. Outside of a request it does nothing.
pub fn note_reference(code: &str) {
    let _ = CURRENT.try_with(|current| {
        current.span.record("reference", code);
    });
}
