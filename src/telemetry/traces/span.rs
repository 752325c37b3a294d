//! Spans of the work of a request or a background task. Without a sampled trace they cost a look at the current thread.
//!
//! Names and attributes are constants, slugs, hosts from the settings and numbers, never what a customer or an issuer wrote.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use pin_project_lite::pin_project;
use url::Url;

/// A request that reads or writes thousands of rows must not crowd out the spans of others.
pub(super) const MAX_SPANS_PER_TRACE: u32 = 500;

pub(super) const ERROR_TYPE: &str = "error.type";
const OMITTED: &str = "signpost.spans.omitted";

/// What a span is before it begins.
#[derive(Debug)]
pub struct NewSpan {
    name: Cow<'static, str>,
    kind: SpanKind,
    attributes: Vec<KeyValue>,
}

impl NewSpan {
    fn new(name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Self {
        Self { name: name.into(), kind, attributes: Vec::new() }
    }

    /// A step of our own work.
    pub fn step(name: &'static str) -> Self {
        Self::new(name, SpanKind::Internal)
    }

    pub(super) fn server(name: String) -> Self {
        Self::new(name, SpanKind::Server)
    }

    /// A call over HTTP. Path and query of the address may hold codes, ids and usernames: they are left out.
    pub fn http_call(method: &Method, url: &Url) -> Self {
        let span = Self::new(method.as_str().to_owned(), SpanKind::Client)
            .with("http.request.method", method.as_str().to_owned())
            .with("url.scheme", url.scheme().to_owned())
            .with("server.address", url.host_str().unwrap_or_default().to_owned());
        match url.port_or_known_default() {
            Some(port) => span.with("server.port", i64::from(port)),
            None => span,
        }
    }

    /// A statement of a database. `text` has no values; the span has its operation and its table.
    pub fn statement(system: &'static str, text: &'static str) -> Self {
        let (operation, table) = summary(text);
        let span = match table {
            Some(table) => {
                Self::new(format!("{operation} {table}"), SpanKind::Client).with("db.collection.name", table)
            }
            None => Self::new(operation, SpanKind::Client),
        };
        span.with("db.system.name", system).with("db.operation.name", operation)
    }

    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// Begins it below the span of `parent`.
    pub(super) fn begin(self, tracer: &SdkTracer, parent: &Context) -> Context {
        let builder = SpanBuilder::from_name(self.name).with_kind(self.kind).with_attributes(self.attributes);
        parent.with_span(tracer.build_with_context(builder, parent))
    }
}

/// The operation of a statement, and the table that follows `FROM`, `INTO` or `UPDATE` first.
fn summary(text: &'static str) -> (&'static str, Option<&'static str>) {
    let is_name = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let mut words = text.split(|c: char| c.is_whitespace() || "()".contains(c)).filter(|word| !word.is_empty());
    let operation = words.clone().next().unwrap_or_default();
    let table = loop {
        match words.next() {
            Some("FROM" | "INTO" | "UPDATE") => {
                if let Some(table) = words.clone().next().filter(is_name) {
                    break Some(table);
                }
            }
            Some(_) => {}
            None => break None,
        }
    };
    (operation, table)
}

/// What the spans of a trace share at this instance.
pub(super) struct Root {
    tracer: SdkTracer,
    begun: AtomicU32,
}

impl Root {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Self { tracer, begun: AtomicU32::new(0) }
    }
}

/// Ends the first span of a trace.
pub(super) fn end_root(context: &Context) {
    let begun = context.get::<Root>().map_or(0, |root| root.begun.load(Ordering::Relaxed));
    let omitted = begun.saturating_sub(MAX_SPANS_PER_TRACE);
    let span = context.span();
    if omitted > 0 {
        span.set_attribute(KeyValue::new(OMITTED, i64::from(omitted)));
    }
    span.end();
}

/// How a span ends when its work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself, as a part of a trace.
    Part,
    /// By itself, as the first span of a trace.
    Root,
    /// Where it was begun.
    Elsewhere,
}

pin_project! {
    /// Work inside of a span, or the work alone. It adds no more than a few words to the size of the work.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct InSpan<F> {
        context: Option<Context>,
        ending: Ending,
        #[pin]
        work: F,
    }
}

impl<F> InSpan<F> {
    pub(super) fn new(context: Option<Context>, ending: Ending, work: F) -> Self {
        Self { context, ending, work }
    }
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(context) = this.context else { return this.work.poll(task) };
        let entered = context.clone().attach();
        let done = ready!(this.work.poll(task));
        drop(entered);
        match this.ending {
            Ending::Part => context.span().end(),
            Ending::Root => end_root(context),
            Ending::Elsewhere => {}
        }
        *this.context = None;
        Poll::Ready(done)
    }
}

/// A span that has begun and ends when this is dropped, or no span.
#[derive(Debug)]
pub struct OpenSpan(Option<Context>);

impl OpenSpan {
    /// Runs work inside of it.
    pub fn scope<F: Future>(&self, work: F) -> InSpan<F> {
        InSpan::new(self.0.clone(), Ending::Elsewhere, work)
    }

    /// Adds the reason why its work failed.
    pub fn fail(&self, reason: &'static str) {
        if let Some(context) = &self.0 {
            fail(context, reason);
        }
    }

    /// Adds the status of the response that it waited for. A client's span fails with a 4xx or 5xx.
    pub fn note_response(&self, status: StatusCode) {
        let Some(context) = &self.0 else { return };
        context.span().set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_client_error() || status.is_server_error() {
            fail(context, status.as_u16().to_string());
        }
    }

    /// Adds the headers of W3C Trace Context, by which the receiver continues the trace. Without a span of its own it is the
    /// current one's: a trace that is not sampled, or has too many spans, is continued as well.
    pub fn inject(&self, headers: &mut HeaderMap) {
        match &self.0 {
            Some(context) => inject(context, headers),
            None => Context::map_current(|current| inject(current, headers)),
        }
    }
}

/// Begins a span below the current one. Outside of a sampled trace there is none.
pub fn begin(describe: impl FnOnce() -> NewSpan) -> OpenSpan {
    OpenSpan(Context::map_current(|current| {
        if !current.span().span_context().is_sampled() {
            return None;
        }
        let root = current.get::<Root>()?;
        let is_room = root.begun.fetch_add(1, Ordering::Relaxed) < MAX_SPANS_PER_TRACE;
        is_room.then(|| describe().begin(&root.tracer, current))
    }))
}

/// Runs work in a span below the current one. Outside of a sampled trace it runs the work alone.
pub fn in_span<F: Future>(describe: impl FnOnce() -> NewSpan, work: F) -> InSpan<F> {
    InSpan::new(begin(describe).0, Ending::Part, work)
}

/// Runs work that belongs to the current span in a task of its own.
pub fn in_current_span<F: Future>(work: F) -> InSpan<F> {
    let context = Context::map_current(|current| current.has_active_span().then(|| current.clone()));
    InSpan::new(context, Ending::Elsewhere, work)
}

/// Adds an attribute to the current span.
pub fn note(key: &'static str, value: impl Into<Value>) {
    Context::map_current(|current| {
        let span = current.span();
        if span.is_recording() {
            span.set_attribute(KeyValue::new(key, value));
        }
    });
}

pub(super) fn fail(context: &Context, reason: impl Into<Value>) {
    let span = context.span();
    span.set_attribute(KeyValue::new(ERROR_TYPE, reason));
    span.set_status(Status::error(""));
}

fn inject(context: &Context, headers: &mut HeaderMap) {
    struct Headers<'h>(&'h mut HeaderMap);

    impl Injector for Headers<'_> {
        fn set(&mut self, key: &str, value: String) {
            // An empty `tracestate` says nothing.
            let header = (HeaderName::try_from(key), HeaderValue::try_from(&value));
            if let (Ok(name), Ok(value)) = header
                && !value.is_empty()
            {
                self.0.insert(name, value);
            }
        }
    }

    if context.has_active_span() {
        TraceContextPropagator::new().inject_context(context, &mut Headers(headers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_summarized_without_their_conditions() {
        for (text, expected) in [
            ("SELECT a FROM revision r LEFT JOIN membership m ON m.username_key = $1", ("SELECT", Some("revision"))),
            ("INSERT INTO consumed_token (id) VALUES ($1)", ("INSERT", Some("consumed_token"))),
            ("UPDATE users SET status = 'x'", ("UPDATE", Some("users"))),
            ("DELETE FROM session WHERE id IN (SELECT id FROM old)", ("DELETE", Some("session"))),
            ("SELECT 1 FROM (SELECT id FROM job) AS x", ("SELECT", Some("job"))),
            ("INSERT INTO users{rows}", ("INSERT", None)),
            ("COMMIT", ("COMMIT", None)),
        ] {
            assert_eq!(summary(text), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn without_a_trace_work_runs_alone() {
        let describe = || -> NewSpan { panic!("no span is described") };
        assert_eq!(in_span(describe, async { 7 }).await, 7);
        note("key", 1);
        let span = begin(describe);
        span.fail("reason");
        let mut headers = HeaderMap::new();
        span.inject(&mut headers);
        assert!(headers.is_empty());
    }
}
