//! The exporter: OTLP over HTTP with protobuf. It slows no request: what does not fit into its queue is dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message;
use reqwest::redirect::Policy;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::telemetry::metrics::{DroppedSpans, Metrics};
use crate::telemetry::{OncePerMinute, root_cause};

/// Spans that wait for the exporter.
const QUEUE_SIZE: usize = 4096;
const BATCH_SIZE: usize = 512;
/// How long the first span of a batch waits for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Before the attempts to send a batch again. Then it is dropped.
const RETRY_DELAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
const MAX_RESPONSE: usize = 64 * 1024;

/// Takes the spans of all threads.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    metrics: Arc<Metrics>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.metrics.record_dropped_spans(DroppedSpans::QueueFull, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// The exporter's task ends by itself: see [`super::Traces::shut_down`].
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

pub(super) struct Exporter {
    client: reqwest::Client,
    endpoint: Url,
    headers: HeaderMap,
    resource: ResourceAttributesWithSchema,
    metrics: Arc<Metrics>,
    outage: Outage,
}

/// Why a batch was not taken.
struct Failure {
    cause: String,
    /// `None`: another attempt would fail as well.
    retry: Option<Duration>,
}

impl Exporter {
    #[expect(clippy::disallowed_methods, reason = "the collector may be on a private address")]
    pub(super) fn new(
        endpoint: &Url,
        headers: HeaderMap,
        resource: &Resource,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(CALL_TIMEOUT)
            .user_agent(concat!("signpost/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("traces.endpoint: the HTTP client could not be set up: {error}"))?;
        let (endpoint, resource) = (endpoint.clone(), resource.into());
        Ok(Self { client, endpoint, headers, resource, metrics, outage: Outage::default() })
    }

    /// Exports in a task of its own until `closing`, and then what is queued.
    pub(super) fn start(self, closing: CancellationToken) -> (Queue, JoinHandle<()>) {
        let (sender, spans) = mpsc::channel(QUEUE_SIZE);
        let queue = Queue { spans: sender, metrics: Arc::clone(&self.metrics) };
        (queue, tokio::spawn(self.run(spans, closing)))
    }

    async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_SIZE);
        loop {
            tokio::select! {
                () = fill(&mut batch, &mut spans) => {}
                // From then on the queue gives what it has, and waits for no more.
                () = closing.cancelled(), if !spans.is_closed() => {
                    spans.close();
                    continue;
                }
            }
            if batch.is_empty() {
                return;
            }
            self.export(std::mem::take(&mut batch), &closing).await;
        }
    }

    /// Sends a batch, several times if necessary, but only once when the process ends.
    async fn export(&mut self, batch: Vec<SpanData>, closing: &CancellationToken) {
        let count = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let mut delays = RETRY_DELAYS.into_iter();
        loop {
            let failure = match self.send(body.clone()).await {
                Ok(rejected) => {
                    let rejected = rejected.min(count);
                    self.metrics.record_exported_spans(count - rejected);
                    if rejected > 0 {
                        self.metrics.record_dropped_spans(DroppedSpans::Rejected, rejected);
                    }
                    return self.outage.end();
                }
                Err(failure) => failure,
            };
            self.outage.report(&failure.cause);
            let delay = failure.retry.zip(delays.next()).map(|(asked, delay)| asked.max(delay));
            match delay.filter(|_| !closing.is_cancelled()) {
                Some(delay) => {
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = closing.cancelled() => {}
                    }
                }
                None => return self.metrics.record_dropped_spans(DroppedSpans::Failed, count),
            }
        }
    }

    /// Returns how many spans the collector rejected.
    async fn send(&self, body: Vec<u8>) -> Result<u64, Failure> {
        let unreachable = |error: reqwest::Error| Failure { cause: root_cause(&error), retry: Some(Duration::ZERO) };
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone()).body(body);
        let request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            // OTLP 1.x, "OTLP/HTTP Response": these can be retried, no other.
            let is_retryable = matches!(status.as_u16(), 429 | 502..=504);
            let asked = response.headers().get(header::RETRY_AFTER);
            let asked =
                asked.and_then(|value| value.to_str().ok()?.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
            return Err(Failure {
                cause: format!("it answered {}", status.as_u16()),
                retry: is_retryable.then(|| asked.min(MAX_RETRY_AFTER)),
            });
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if answer.len() + chunk.len() > MAX_RESPONSE {
                return Ok(0);
            }
            answer.extend_from_slice(&chunk);
        }
        let partial = ExportTraceServiceResponse::decode(&*answer).ok().and_then(|answer| answer.partial_success);
        Ok(partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0)))
    }
}

/// Waits for a span, and then a moment for others.
async fn fill(batch: &mut Vec<SpanData>, spans: &mut mpsc::Receiver<SpanData>) {
    spans.recv_many(batch, BATCH_SIZE - batch.len()).await;
    let others =
        async { while batch.len() < BATCH_SIZE && spans.recv_many(batch, BATCH_SIZE - batch.len()).await > 0 {} };
    // Either way the batch has what has come.
    let _ = tokio::time::timeout(BATCH_DELAY, others).await;
}

/// What the log says of a collector that fails.
#[derive(Default)]
struct Outage {
    reports: OncePerMinute,
    is_reported: bool,
}

impl Outage {
    fn report(&mut self, cause: &str) {
        if self.reports.is_due() {
            tracing::warn!(cause, "the collector of traces does not take spans; requests are not affected");
            self.is_reported = true;
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.is_reported) {
            tracing::info!("the collector of traces takes spans again");
        }
    }
}
