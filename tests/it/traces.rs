//! Traces: what a collector receives, which traces are continued, what no span holds, and what an absent collector harms.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, Request, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as AnyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;
use rustix::process::Signal;
use signpost::config::{self, Config};
use signpost::telemetry::metrics::{PoolWaits, Snapshot};
use signpost::telemetry::traces::NewSpan;
use signpost::telemetry::{Metrics, Traces};
use signpost::web::client::Peer;

use crate::harness::{Browser, GATEWAY, Process, World, external_get, wait_for};
use crate::logs::Captured;

/// No answer at all.
const HANGS: u16 = 0;
/// 200 with an answer that rejects one span.
const REJECTS_ONE: u16 = 1;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A collector: it takes traces over OTLP/HTTP and decodes them by the published definitions.
#[derive(Clone)]
struct Collector {
    address: String,
    answer: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

#[derive(Clone, Debug)]
struct Received {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: SpanKind,
    has_failed: bool,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
    nanos: u64,
}

impl Received {
    fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &AnyValue| match value {
        AnyValue::StringValue(text) => text.clone(),
        AnyValue::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |attribute: &KeyValue| attribute.value.as_ref().and_then(|value| value.value.as_ref().map(text));
    attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute).unwrap())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Collector {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let collector = Self { address, answer: Arc::new(AtomicU16::new(200)), received: Arc::default() };
        let app = Router::new().route("/v1/traces", post(Self::take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        collector
    }

    async fn take(State(collector): State<Self>, headers: HeaderMap, body: Bytes) -> Response {
        let answer = collector.answer.load(Ordering::SeqCst);
        if answer == HANGS {
            std::future::pending::<()>().await;
        }
        if answer > REJECTS_ONE && answer != 200 {
            return StatusCode::from_u16(answer).unwrap().into_response();
        }
        collector.received.lock().unwrap().push((headers, body));
        let rejected_spans = i64::from(answer == REJECTS_ONE);
        let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message: String::new() });
        ExportTraceServiceResponse { partial_success }.encode_to_vec().into_response()
    }

    /// Settings that trace this share of all requests.
    fn settings(&self, ratio: f64) -> String {
        format!("[traces]\nendpoint = \"{}\"\nsample_ratio = {ratio:?}\nenvironment = \"test\"\n", self.address)
    }

    async fn world(&self) -> World {
        World::with_settings(&self.settings(1.0)).await
    }

    fn spans(&self) -> Vec<Received> {
        let mut spans = Vec::new();
        for (_, body) in self.received.lock().unwrap().iter() {
            for group in ExportTraceServiceRequest::decode(body.clone()).unwrap().resource_spans {
                let resource = texts(&group.resource.unwrap().attributes);
                for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    assert!(span.events.is_empty(), "a log line is no event of a span");
                    spans.push(Received {
                        trace: hex(&span.trace_id),
                        id: hex(&span.span_id),
                        parent: hex(&span.parent_span_id),
                        kind: span.kind(),
                        has_failed: span.status.as_ref().is_some_and(|status| status.code() == SpanStatus::Error),
                        attributes: texts(&span.attributes),
                        resource: resource.clone(),
                        nanos: span.end_time_unix_nano - span.start_time_unix_nano,
                        name: span.name,
                    });
                }
            }
        }
        spans
    }

    /// The one span with this name.
    fn only(&self, name: &str) -> Received {
        let mut found: Vec<_> = self.spans().into_iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name} in {:#?}", self.spans());
        found.remove(0)
    }

    /// The names from a request's span down to each span of its trace.
    fn paths(&self, trace: &str) -> Vec<String> {
        let spans: HashMap<String, Received> =
            self.spans().into_iter().filter(|span| span.trace == trace).map(|span| (span.id.clone(), span)).collect();
        let path = |span: &Received| {
            let mut names = vec![span.name.clone()];
            let mut parent = spans.get(&span.parent);
            while let Some(span) = parent {
                names.push(span.name.clone());
                parent = spans.get(&span.parent);
            }
            names.reverse();
            names.join(" > ")
        };
        spans.values().map(path).collect()
    }
}

/// A router that takes 10.0.0.0/8 for proxies.
fn behind_proxy(world: &World) -> Browser {
    let state = world.state.with(|services| {
        let mut config = (*services.config).clone();
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        services.config = Arc::new(config);
    });
    Browser::new(signpost::app::router(state))
}

fn traced_request(path: &str, peer: &str, parent: &str) -> http::request::Builder {
    let peer = Peer::Address(peer.parse().unwrap());
    Request::get(path).header("traceparent", parent).header("tracestate", "vendor=1").extension(peer)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "1111222233334444";

#[tokio::test]
async fn each_request_of_a_sign_in_is_a_trace_with_its_steps() {
    let collector = Collector::start().await;
    let world = collector.world().await;
    let mut browser = world.browser();
    assert_eq!(browser.post("/login", &[("username", "one-moved")]).await.status, StatusCode::OK);
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    world.state.traces.shut_down().await;

    let requests: Vec<_> = collector.spans().into_iter().filter(|span| span.kind == SpanKind::Server).collect();
    let mut names: Vec<&str> = requests.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["GET /b/{slug}", "GET /callback/{slug}", "POST /login"]);
    let host = url::Url::parse(GATEWAY).unwrap().host_str().unwrap().to_owned();
    for span in &requests {
        assert!(span.parent.is_empty() && !span.has_failed && span.nanos > 0, "{span:?}");
        let (method, route) = span.name.split_once(' ').unwrap();
        assert_eq!((span.attribute("http.request.method"), span.attribute("http.route")), (method, route));
        assert_eq!((span.attribute("url.scheme"), span.attribute("server.address")), ("http", &*host));
        assert_eq!(span.attribute("signpost.request_id").len(), 12);
    }
    let resource = &requests[0].resource;
    assert_eq!((&*resource["service.name"], &*resource["service.version"]), ("signpost", env!("CARGO_PKG_VERSION")));
    assert_eq!(
        (&*resource["deployment.environment.name"], resource["service.instance.id"].is_empty()),
        ("test", false)
    );

    let lookup = collector.only("POST /login");
    assert_eq!(
        (lookup.attribute("http.response.status_code"), lookup.attribute("signpost.decision.row")),
        ("200", "2")
    );
    assert_eq!(lookup.attribute("signpost.decision.rule"), "single_migrated");
    let expected = [
        (&lookup, "POST /login > decide > look up username > SELECT revision"),
        (&collector.only("GET /b/{slug}"), "GET /b/{slug} > begin sign-in > call issuer > GET"),
        (&collector.only("GET /callback/{slug}"), "GET /callback/{slug} > INSERT consumed_token"),
        (&collector.only("GET /callback/{slug}"), "GET /callback/{slug} > redeem code > call issuer > POST"),
        (&collector.only("GET /callback/{slug}"), "GET /callback/{slug} > resolve user > SELECT membership"),
        (&collector.only("GET /callback/{slug}"), "GET /callback/{slug} > start session > COMMIT"),
    ];
    for (request, path) in expected {
        let paths = collector.paths(&request.trace);
        assert!(paths.iter().any(|found| found == path), "{path} in {paths:#?}");
    }
    let callback = collector.only("GET /callback/{slug}");
    assert_eq!(
        (callback.attribute("signpost.biller"), callback.attribute("http.response.status_code")),
        ("riverside-water", "303")
    );
    let issuer = url::Url::parse(&world.issuer_base).unwrap();
    for call in collector.spans().iter().filter(|span| span.kind == SpanKind::Client && span.name == "POST") {
        assert_eq!(call.attribute("server.address"), issuer.host_str().unwrap());
        assert_eq!(call.attribute("server.port"), issuer.port().unwrap().to_string());
        assert_eq!(call.attribute("http.response.status_code").len(), 3);
    }
    let statement = collector.spans().into_iter().find(|span| span.name == "INSERT consumed_token").unwrap();
    assert_eq!(
        (statement.attribute("db.system.name"), statement.attribute("db.collection.name")),
        ("sqlite", "consumed_token")
    );
}

#[tokio::test]
async fn calls_carry_the_trace_of_their_span() {
    let collector = Collector::start().await;
    let world = collector.world().await;
    world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    let token = world.issuers.traced_requests();
    world.state.traces.shut_down().await;
    let ids: Vec<String> = collector.spans().iter().map(|span| format!("00-{}-{}-01", span.trace, span.id)).collect();
    for path in ["/.well-known/openid-configuration", "/oauth2/token"] {
        let (request, parent) =
            token.iter().find(|(request, _)| request.contains(path)).unwrap_or_else(|| panic!("{path} in {token:?}"));
        assert!(ids.contains(parent), "{request}: {parent} is in no span");
    }
}

#[tokio::test]
async fn traces_of_trusted_proxies_are_continued() {
    let collector = Collector::start().await;
    let captured = Captured::default();
    let _guard = captured.subscribe("off,signpost=info");
    let world = collector.world().await;
    let browser = behind_proxy(&world);
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    let unsampled = format!("00-{}-{PARENT}-00", TRACE.replace('4', "5"));
    captured.clear();
    browser.clone().send(traced_request("/help", "10.0.0.1:9", &sampled)).await;
    browser.clone().send(traced_request("/reset", "203.0.113.9:9", &sampled)).await;
    browser.clone().send(traced_request("/b/riverside-water", "10.0.0.1:9", &unsampled)).await;
    world.state.traces.shut_down().await;

    let continued = collector.only("GET /help");
    assert_eq!((&*continued.trace, &*continued.parent), (TRACE, PARENT));
    let own = collector.only("GET /reset");
    assert!(own.trace != TRACE && own.parent.is_empty(), "a stranger's header counts for nothing");
    assert!(collector.spans().iter().all(|span| !span.name.contains("/b/{slug}")), "the proxy did not sample it");
    let log = captured.text();
    let line = |route: &str| {
        log.lines()
            .find(|line| line.contains(&format!("route=\"{route}\"")) && line.contains("request status"))
            .unwrap()
    };
    for (route, trace) in [("/help", TRACE), ("/reset", &own.trace), ("/b/{slug}", &TRACE.replace('4', "5"))] {
        assert!(line(route).contains(&format!("trace=\"{trace}\"")), "{}", line(route));
    }
    let (_, outgoing) = world.issuers.traced_requests().pop().unwrap();
    assert!(
        outgoing.starts_with(&format!("00-{}-", TRACE.replace('4', "5"))) && outgoing.ends_with("-00"),
        "{outgoing}"
    );
}

#[tokio::test]
async fn nothing_is_exported_at_ratio_zero_or_without_a_collector() {
    let collector = Collector::start().await;
    let world = World::with_settings(&collector.settings(0.0)).await;
    world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    world.state.traces.shut_down().await;
    assert!(collector.received.lock().unwrap().is_empty());
    let outgoing = world.issuers.traced_requests();
    assert!(!outgoing.is_empty() && outgoing.iter().all(|(_, parent)| parent.ends_with("-00")), "{outgoing:?}");

    let world = World::start().await;
    world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    assert_eq!(world.issuers.traced_requests(), [], "traces are off");
}

/// The number of spans that a metric counts.
async fn counted(world: &World, series: &str) -> u64 {
    let text = Browser::new(signpost::app::management_router(world.state.clone())).get("/metrics").await.body;
    let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series} in {text}"));
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn a_collector_that_fails_harms_nothing() {
    let captured = Captured::default();
    let _guard = captured.subscribe("info");
    let collector = Collector::start().await;
    // Nobody listens at the first one.
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone = format!("[traces]\nendpoint = \"http://{unused}/v1/traces\"\nsample_ratio = 1.0\n");
    for (answer, settings, bound) in [
        (200, gone, 1),
        (400, collector.settings(1.0), 1),
        (503, collector.settings(1.0), 1),
        (HANGS, collector.settings(1.0), 4),
    ] {
        collector.answer.store(answer, Ordering::SeqCst);
        let world = World::with_settings(&settings).await;
        captured.clear();
        world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
        let started = Instant::now();
        world.state.traces.shut_down().await;
        assert!(started.elapsed() < Duration::from_secs(bound), "{answer}: {:?}", started.elapsed());
        assert_eq!(captured.text().matches("the collector of traces").count(), 1, "{answer}: {}", captured.text());
        if answer != HANGS {
            assert!(
                counted(&world, "signpost_trace_spans_dropped_total{reason=\"export_failed\"}").await > 5,
                "{answer}"
            );
        }
        assert_eq!(counted(&world, "signpost_trace_spans_exported_total").await, 0);
        // The gateway goes on.
        world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    }
}

#[tokio::test]
async fn exported_and_rejected_spans_are_counted() {
    let collector = Collector::start().await;
    collector.answer.store(REJECTS_ONE, Ordering::SeqCst);
    let world = collector.world().await;
    world.browser().get("/help").await;
    world.state.traces.shut_down().await;
    let batches = collector.received.lock().unwrap().len() as u64;
    assert_eq!(counted(&world, "signpost_trace_spans_dropped_total{reason=\"rejected\"}").await, batches);
    assert_eq!(counted(&world, "signpost_trace_spans_exported_total").await, collector.spans().len() as u64 - batches);
}

#[tokio::test]
async fn the_queue_is_bounded_and_waits_for_nobody() {
    let collector = Collector::start().await;
    collector.answer.store(HANGS, Ordering::SeqCst);
    let metrics = Arc::new(Metrics::new(&PoolWaits::default()));
    let endpoint = Some(collector.address.parse().unwrap());
    let settings = config::Traces { endpoint, sample_ratio: 1.0, ..config::Traces::default() };
    let traces = Traces::start(&settings, "one".to_owned(), &metrics).unwrap();
    for _ in 0..10_000 {
        traces.task(|| NewSpan::step("task"), async {}).await;
    }
    let text = metrics.encode(&Snapshot::default()).unwrap();
    let dropped =
        text.lines().find_map(|line| line.strip_prefix("signpost_trace_spans_dropped_total{reason=\"queue_full\"} "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() >= 10_000 - 4096 - 512, "{dropped:?}");
}

#[tokio::test]
async fn a_trace_has_a_bounded_number_of_spans() {
    let collector = Collector::start().await;
    let metrics = Arc::new(Metrics::new(&PoolWaits::default()));
    let endpoint = Some(collector.address.parse().unwrap());
    let settings = config::Traces { endpoint, sample_ratio: 1.0, ..config::Traces::default() };
    let traces = Traces::start(&settings, "one".to_owned(), &metrics).unwrap();
    let many = async {
        for _ in 0..700 {
            signpost::telemetry::traces::in_span(|| NewSpan::step("row"), async {}).await;
        }
    };
    traces.task(|| NewSpan::step("import"), many).await;
    traces.shut_down().await;
    assert_eq!(collector.spans().iter().filter(|span| span.name == "row").count(), 500);
    assert_eq!(collector.only("import").attribute("signpost.spans.omitted"), "200");
}

#[tokio::test]
async fn spans_hold_no_personal_data() {
    let collector = Collector::start().await;
    let world = collector.world().await;
    world.import_users("riverside-water", &["canary-username"]).await;
    let mut browser = world.browser();
    let mut secrets: Vec<String> =
        ["canary-", "one-moved", "stranger", "mail.example", "203.0.113.77", "no-such-biller"]
            .map(str::to_owned)
            .to_vec();
    for name in ["canary-legacy", "two-legacy"] {
        let answer = browser.post("/login", &[("username", name)]).await;
        secrets.extend(answer.location().split("token=").nth(1).map(str::to_owned));
    }
    let notice = browser.post("/login", &[("username", "one-moved"), ("password", "canary-password")]).await;
    let link = notice.link("Continue to");
    secrets.push(link.split("h=").nth(1).unwrap().to_owned());
    let start = browser.get(&link).await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    for (name, value) in url::Url::parse(&callback).unwrap().query_pairs() {
        if name != "iss" {
            secrets.push(value.into_owned());
        }
    }
    secrets.extend(browser.cookies.values().cloned());
    let portal = browser.get(&callback).await.location();
    let handoff = portal.split("token=").nth(1).unwrap().to_owned();
    crate::handoffs::redeem(&world, &handoff).await;
    secrets.push(handoff);
    secrets.extend(browser.cookies.values().cloned());
    let refused = world.browser().get("/b/riverside-water").await;
    let refused = world.authenticate(&refused.location(), "stranger").await;
    world.browser().get(&refused).await;
    let peer = Peer::Address("203.0.113.77:9".parse().unwrap());
    for path in ["/b/no-such-biller?canary-query=1", "/canary-path", "/reset?username=canary-query"] {
        world.browser().send(Request::get(path).header(header::HOST, "canary-host").extension(peer)).await;
        world.browser().send(Request::get(path).extension(peer)).await;
    }
    for path in ["/recover/links", "/reset"] {
        browser.post(path, &[("username", "canary-username")]).await;
        browser.post(path, &[("username", "canary-user@mail.example")]).await;
    }
    world.run_queued_tasks().await;
    browser.post("/logout", &[]).await;
    crate::outbox::migrate_biller(&world).await;
    let change = signpost::directory::UserUpdate { first_name: Some("canary-name".to_owned()), ..Default::default() };
    crate::outbox::update_user(&world, "ann", change).await;
    world.state.provisioning.deliver().await.unwrap();
    world.state.traces.shut_down().await;

    let names: Vec<String> = collector.spans().into_iter().map(|span| span.name).collect();
    for name in ["POST /recover/links", "task", "job", "push", "call management API", "PATCH", "redeem code"] {
        assert!(names.iter().any(|found| found == name), "the journey has {name}: {names:?}");
    }
    for (headers, body) in collector.received.lock().unwrap().iter() {
        let exported = format!("{headers:?} {}", String::from_utf8_lossy(body));
        for secret in &secrets {
            assert!(!exported.contains(secret), "{secret} is exported");
        }
    }
}

#[tokio::test]
async fn a_process_exports_until_its_end_and_through_reloads() {
    let collector = Collector::start().await;
    let mut world = World::with_system_clock().await;
    let token = world.folder.path().join("token");
    std::fs::write(&token, "Bearer collector-token\n").unwrap();
    let headers = format!("headers = {{ authorization = {{ file = {token:?} }} }}\n");
    world.settings.push_str(&format!("{}{headers}", collector.settings(1.0)));
    let process = Process::serve(&world).await;
    let mut browser = process.browser();
    browser.get("/help").await;
    wait_for(TIMEOUT, "the first batch", async || (!collector.received.lock().unwrap().is_empty()).then_some(())).await;

    let reload = async |settings: &str| {
        std::fs::write(world.folder.path().join("signpost.toml"), settings).unwrap();
        process.signal(Signal::HUP);
    };
    let other = world.settings.replace("sample_ratio = 1.0", "sample_ratio = 0.0").replace("\"test\"", "\"other\"");
    reload(&other).await;
    let reloaded = process.line("reloaded", |line| line["fields"]["message"] == "the settings were reloaded").await;
    assert_eq!(
        (&reloaded["fields"]["changed"], &reloaded["fields"]["needs_restart"]),
        (&"traces".into(), &"traces.environment".into())
    );
    browser.get("/reset").await;
    reload(&world.settings).await;
    let count = async || (process.count_lines("the settings were reloaded") == 2).then_some(());
    wait_for(TIMEOUT, "the second reload", count).await;
    browser.get("/login").await;
    assert_eq!(process.stop().await, Some(0));

    collector.only("GET /help");
    collector.only("GET /login");
    assert!(collector.spans().iter().all(|span| span.name != "GET /reset"), "the ratio was 0");
    assert_eq!(collector.received.lock().unwrap()[0].0[header::AUTHORIZATION], "Bearer collector-token");
}

#[tokio::test]
async fn metrics_of_a_process_are_there_without_a_collector() {
    let world = World::with_system_clock().await;
    let process = Process::serve(&world).await;
    let (_, text) = external_get(&format!("http://{}/metrics", process.management)).await;
    for series in
        ["signpost_trace_spans_exported_total 0", "signpost_trace_spans_dropped_total{reason=\"queue_full\"} 0"]
    {
        assert!(text.lines().any(|line| line == series), "{series} in {text}");
    }
}

#[test]
fn invalid_settings_are_explained() {
    let problems = |settings: &str| {
        let text = format!(
            "[secrets]\nkeys = [\"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\"]\n[legacy]\nlogin_url = \"https://legacy.example/\"\n[portal]\nhandoff_url = \"https://portal.example/\"\n{settings}"
        );
        Config::from_text(&text, []).unwrap_err().to_string()
    };
    for (settings, problem) in [
        ("endpoint = \"grpc://127.0.0.1:4317\"", "traces.endpoint: expected an http or https address such as"),
        ("endpoint = \"http://name:canary@127.0.0.1:4318/v1/traces\"", "credentials go into traces.headers"),
        (
            "endpoint = \"http://127.0.0.1:4318\"",
            "traces.endpoint: http://127.0.0.1:4318/ has no path; collectors take traces at /v1/traces",
        ),
        ("sample_ratio = 10", "traces.sample_ratio: 10 must be 0 to 1, such as 0.1"),
        ("headers = { \"two words\" = \"canary\" }", "traces.headers.two words: is not the name of a header"),
        (
            "headers = { authorization = \"can\\nary\" }",
            "traces.headers.authorization: the value has characters that no header can have",
        ),
        (
            "headers = { authorization = { file = \"/no/such/file\" } }",
            "traces.headers.authorization: the secret file /no/such/file cannot be read",
        ),
        ("headers = \"canary\"", "traces.headers: expected a table of secrets"),
        ("environment = \"\"", "traces.environment: is empty"),
        ("enabled = true", "traces.enabled: unknown setting"),
    ] {
        let found = problems(&format!("[traces]\n{settings}\n"));
        assert!(found.contains(problem), "{settings}: {found}");
        assert!(!found.contains("canary"), "{found}");
    }
}
