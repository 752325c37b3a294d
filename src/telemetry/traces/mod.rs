//! Traces for OpenTelemetry: requests and background tasks with their steps, sampled, exported over OTLP (docs/adr/0014-traces.md).
//! They hold no personal data: see `span`.

mod export;
mod span;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, SpanLimits};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use span::{InSpan, NewSpan, OpenSpan, begin, in_current_span, in_span, note};

use super::metrics::{Metrics, known_method};
use crate::config;
use export::Exporter;
use span::{Ending, Root, end_root, fail};

/// How long a shutdown waits for the collector.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The traces of this process. Off without a collector. Clones share one exporter.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Exported>>);

struct Exported {
    tracer: SdkTracer,
    ratio: SampleRatio,
    closing: CancellationToken,
    exporting: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exported")
    }
}

/// What a span says of a request that comes in.
#[derive(Debug)]
pub struct ServerRequest<'a> {
    pub method: &'a Method,
    /// The pattern, or "-" if there is none.
    pub route: &'a str,
    /// Our own scheme and host, from the settings: what the client sends can be anything.
    pub scheme: &'a str,
    pub host: &'a str,
    pub request_id: &'a str,
    /// The headers of W3C Trace Context that a trusted proxy sent.
    pub parent: Option<TraceParent<'a>>,
}

/// `traceparent` and `tracestate`.
#[derive(Clone, Copy, Debug)]
pub struct TraceParent<'a> {
    pub parent: &'a str,
    pub state: Option<&'a str>,
}

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.parent),
            "tracestate" => self.state,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// The span of a request that is served. It ends with [`RequestTrace::end`], or when it is dropped.
#[derive(Clone, Debug, Default)]
pub struct RequestTrace(Option<Context>);

impl RequestTrace {
    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|context| context.span().span_context().trace_id().to_string())
    }

    pub(super) fn note(&self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Runs the request inside its span.
    pub fn scope<F: Future>(&self, work: F) -> InSpan<F> {
        InSpan::new(self.0.clone(), Ending::Elsewhere, work)
    }

    /// The response begins. A client's mistake is no error of the server.
    pub fn end(&self, status: u16) {
        let Some(context) = &self.0 else { return };
        context.span().set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            fail(context, status.to_string());
        }
        end_root(context);
    }
}

impl Traces {
    /// Starts the exporter if the settings have a collector. `instance` tells this process from others.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn start(settings: &config::Traces, instance: String, metrics: &Arc<Metrics>) -> Result<Self, String> {
        let Some(endpoint) = &settings.endpoint else { return Ok(Self::default()) };
        let resource = resource(settings, instance);
        let exporter = Exporter::new(endpoint, settings.revealed_headers()?, &resource, Arc::clone(metrics))?;
        let closing = CancellationToken::new();
        let (queue, exporting) = exporter.start(closing.clone());
        let ratio = SampleRatio::new(settings.sample_ratio);
        // Everything is set here, because the defaults depend on variables of the environment.
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(ratio.clone())))
            .with_span_limits(SpanLimits::default())
            .with_span_processor(queue)
            .build();
        let tracer = provider.tracer("signpost");
        let exporting = Mutex::new(Some(exporting));
        Ok(Self(Some(Arc::new(Exported { tracer, ratio, closing, exporting }))))
    }

    /// Applies the ratio of other settings to traces that begin from now on.
    pub fn set_sample_ratio(&self, ratio: f64) {
        if let Some(exported) = &self.0 {
            exported.ratio.set(ratio);
        }
    }

    /// Begins the span of a request.
    pub fn begin_request(&self, request: &ServerRequest<'_>) -> RequestTrace {
        let Some(exported) = &self.0 else { return RequestTrace::default() };
        let method = match known_method(request.method.as_str()) {
            "other" => "_OTHER",
            known => known,
        };
        let shown = if method == "_OTHER" { "HTTP" } else { method };
        let name = if request.route == "-" { shown.to_owned() } else { format!("{shown} {}", request.route) };
        let mut span = NewSpan::server(name)
            .with("http.request.method", method)
            .with("url.scheme", request.scheme.to_owned())
            .with("server.address", request.host.to_owned())
            .with("signpost.request_id", request.request_id.to_owned());
        if request.route != "-" {
            span = span.with("http.route", request.route.to_owned());
        }
        let parent = match &request.parent {
            Some(parent) => TraceContextPropagator::new().extract_with_context(&Context::new(), parent),
            None => Context::new(),
        };
        RequestTrace(Some(exported.begin(span, &parent)))
    }

    /// Runs a background task in a trace of its own, or in a span of the trace that it belongs to.
    pub fn task<F: Future>(&self, describe: impl FnOnce() -> NewSpan, work: F) -> InSpan<F> {
        if Context::map_current(Context::has_active_span) {
            return in_span(describe, work);
        }
        let context = self.0.as_ref().map(|exported| exported.begin(describe(), &Context::new()));
        InSpan::new(context, Ending::Root, work)
    }

    /// Exports what is queued, as far as the collector takes it in time. What begins later is not exported.
    pub async fn shut_down(&self) {
        let Some(exported) = &self.0 else { return };
        exported.closing.cancel();
        let exporting = exported.exporting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut exporting) = exporting else { return };
        if tokio::time::timeout(FLUSH_TIMEOUT, &mut exporting).await.is_err() {
            tracing::warn!("the collector of traces takes too long: the last spans are lost");
            exporting.abort();
        }
    }
}

impl Exported {
    fn begin(&self, span: NewSpan, parent: &Context) -> Context {
        span.begin(&self.tracer, &parent.with_value(Root::new(self.tracer.clone())))
    }
}

fn resource(settings: &config::Traces, instance: String) -> Resource {
    let environment = settings.environment.clone().map(|name| KeyValue::new("deployment.environment.name", name));
    Resource::builder_empty()
        .with_service_name("signpost")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance))
        .with_attributes(environment)
        .build()
}

/// The share of traces that is sampled, by their ids. A reload can change it.
#[derive(Clone, Debug)]
struct SampleRatio(Arc<AtomicU64>);

impl SampleRatio {
    fn new(ratio: f64) -> Self {
        Self(Arc::new(AtomicU64::new(ratio.to_bits())))
    }

    fn set(&self, ratio: f64) {
        self.0.store(ratio.to_bits(), Ordering::Relaxed);
    }
}

impl ShouldSample for SampleRatio {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let ratio = f64::from_bits(self.0.load(Ordering::Relaxed));
        Sampler::TraceIdRatioBased(ratio).should_sample(parent, trace, name, kind, attributes, links)
    }
}
