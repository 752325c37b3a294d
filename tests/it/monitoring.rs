//! The management listener: probes and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{Request, StatusCode};
use regex::Regex;
use secureauth_standin::{Fault, FaultRule};
use serde_json::{Value, json};
use signpost::app::{App, management_router};
use signpost::audit::LogEntry;
use signpost::db::{Db, Schema};
use signpost::directory::{FAILURES_TO_OPEN, IssuerEndpoint};
use signpost::telemetry::metrics::series::{self, SeriesKind};
use signpost_core::reference::CodeKind;
use signpost_core::routes::{self, Method};
use signpost_core::{Clock, Random, paths};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{Browser, PROPAGATION_TIMEOUT, World, config, each_database, external_get, now, slug, wait_for};
use crate::logs::Captured;

/// Samples by series and labels, such as `signpost_sessions{kind="staff"}`.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        Self(samples.collect())
    }

    fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    #[track_caller]
    fn assert(&self, series: &str, value: f64) {
        assert_eq!(self.get(series), Some(value), "{series} in\n{:#?}", self.0);
    }

    fn has(&self, name: &str) -> bool {
        self.0.keys().any(|series| series.starts_with(name))
    }
}

fn listener(world: &World) -> Browser {
    let mut browser = Browser::new(management_router(world.state.clone()));
    browser.host = "10.0.0.7:8086";
    browser
}

async fn scrape(world: &World) -> Samples {
    let response = listener(world).get("/metrics").await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    Samples::parse(&response.body)
}

async fn readiness(browser: &mut Browser) -> (StatusCode, Value) {
    let response = browser.get("/readyz").await;
    (response.status, serde_json::from_str(&response.body).unwrap())
}

#[tokio::test]
async fn management_listener_serves_the_routes_of_its_table() {
    let world = World::start().await;
    for route in routes::management() {
        for method in Method::ALL {
            let request = Request::builder().method(method.as_str()).uri(&*route.path);
            let status = listener(&world).send(request).await.status;
            let expected = match route.authentication(method) {
                None => StatusCode::METHOD_NOT_ALLOWED,
                // Only this machine may request one, and these requests come from nowhere.
                Some(_) if route.path == paths::RELOAD => StatusCode::FORBIDDEN,
                Some(_) => StatusCode::OK,
            };
            assert_eq!(status, expected, "{} {}", method.as_str(), route.path);
        }
        assert_eq!(world.browser().get(&route.path).await.status, StatusCode::NOT_FOUND, "not for customers");
    }
    for path in ["/", "/login", "/api/v1/health"] {
        assert_eq!(listener(&world).get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn readiness_names_each_dependency() {
    each_database(|world| async move {
        let cedar = world.state.directory.biller_by_slug(&slug("cedar-county")).await.unwrap().unwrap();
        let directory = &world.state.directory;
        for _ in 0..FAILURES_TO_OPEN {
            directory.record_issuer_failure(&cedar, IssuerEndpoint::Metadata, "timeout", now()).await.unwrap();
        }
        directory.record_setup_fault(&cedar, "invalid_client", now()).await.unwrap();
        let (status, body) = readiness(&mut listener(&world)).await;
        assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ready")), "{body}");
        assert_eq!(body["database"], json!({ "status": "up", "schema_version": 1, "expected_schema_version": 1 }));
        assert_eq!((&body["key_ring"], &body["shutting_down"]), (&json!({ "status": "up" }), &json!(false)));
        let issuers = body["issuers"].as_array().unwrap();
        let of = |name: &str| issuers.iter().find(|issuer| issuer["biller"] == name);
        let expected = json!({ "biller": "cedar-county", "status": "down", "setup_fault": "invalid_client" });
        assert_eq!(of("cedar-county"), Some(&expected), "an identity provider does not take the gateway out");
        assert_eq!(of("riverside-water"), Some(&json!({ "biller": "riverside-water", "status": "up" })));
        assert_eq!(of("oakdale-city"), None, "it has no identity provider");

        world.state.stopping.cancel();
        let (status, body) = readiness(&mut listener(&world)).await;
        assert_eq!((status, &body["shutting_down"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(true)));
        assert_eq!(listener(&world).get("/livez").await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn values_that_cannot_be_read_are_left_out_and_counted() {
    each_database(|world| async move {
        let with_database = scrape(&world).await;
        let names = ["signpost_sessions{", "signpost_jobs{", "signpost_issuer_circuit_breaker_open{"];
        assert!(names.iter().all(|name| with_database.has(name)));
        assert!(!with_database.has("signpost_scrape_failures_total"));

        world.state.db.close().await;
        let (status, body) = readiness(&mut listener(&world)).await;
        assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unready")));
        assert_eq!((&body["database"]["status"], &body["issuers"]), (&json!("down"), &Value::Null), "{body}");
        assert_eq!(listener(&world).get("/livez").await.status, StatusCode::OK);

        let stale = async || {
            let samples = scrape(&world).await;
            (!samples.has("signpost_issuer_circuit_breaker_open")).then_some(())
        };
        wait_for(PROPAGATION_TIMEOUT, "the copy of the billers is old", stale).await;
        let away = scrape(&world).await;
        assert!(!names.iter().any(|name| away.has(name)), "{:#?}", away.0);
        assert_eq!(away.get("signpost_queue_entries{queue=\"mail\"}"), None);
        away.assert("signpost_queue_entries{queue=\"decision_log\"}", 0.0);
        for source in ["mail", "user_changes", "jobs", "sessions"] {
            let failures = away.get(&format!("signpost_scrape_failures_total{{source=\"{source}\"}}"));
            assert!(failures.is_some_and(|count| count >= 2.0), "{source}: {failures:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_scrape_does_not_wait_for_a_slow_read() {
    let Some(world) = World::on_postgres("").await else { return };
    let held = world.lock_table("session").await;
    let samples = tokio::time::timeout(Duration::from_secs(8), scrape(&world)).await.unwrap();
    assert!(!samples.has("signpost_sessions{"));
    samples.assert("signpost_scrape_failures_total{source=\"sessions\"}", 1.0);
    samples.assert("signpost_queue_entries{queue=\"mail\"}", 0.0);
    held.rollback().await.unwrap();
    assert!(scrape(&world).await.has("signpost_sessions{"));
}

#[tokio::test]
async fn a_scrape_reads_the_database_at_most_every_few_seconds() {
    let world = World::start().await;
    let mut listener = listener(&world);
    listener.get("/metrics").await;
    world.browser().post("/reset", &[("username", "one-moved")]).await;
    let cached = Samples::parse(&listener.get("/metrics").await.body);
    cached.assert("signpost_queue_entries{queue=\"mail\"}", 0.0);
    world.clock.advance(Duration::from_secs(90));
    let fresh = scrape(&world).await;
    fresh.assert("signpost_queue_entries{queue=\"mail\"}", 1.0);
    fresh.assert("signpost_queue_oldest_age_seconds{queue=\"mail\"}", 90.0);
}

#[tokio::test]
async fn sign_ins_are_counted_from_start_to_end() {
    each_database(|world| async move {
        let mut browser = world.browser();
        let portal = world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        let samples = scrape(&world).await;
        let suspended = samples.get("signpost_issuer_circuit_breaker_open{biller=\"summit-telecom\"}");
        assert_eq!(suspended, None, "a circuit breaker of a suspended biller stops nothing");
        samples.assert("signpost_sign_ins_started_total{biller=\"riverside-water\"}", 1.0);
        samples.assert("signpost_sign_ins_completed_total{biller=\"riverside-water\"}", 1.0);
        samples.assert("signpost_sign_ins_started_total{biller=\"maple-electric\"}", 0.0);
        samples.assert("signpost_decisions_total{row=\"7\",rule=\"named_biller\"}", 1.0);
        samples.assert("signpost_handoffs_issued_total{kind=\"portal\"}", 1.0);
        samples.assert("signpost_handoffs_redeemed_total{kind=\"portal\"}", 0.0);
        samples.assert("signpost_sessions{kind=\"customer\"}", 1.0);
        samples.assert("signpost_sessions{kind=\"staff\"}", 0.0);
        let pools = if matches!(world.state.db, Db::Sqlite { .. }) { &["read", "write"][..] } else { &["postgres"] };
        for pool in pools {
            let waits = samples.get(&format!("signpost_database_wait_seconds_count{{pool=\"{pool}\"}}"));
            assert!(waits.is_some_and(|count| count > 0.0), "{pool}: {waits:?}");
        }
        samples.assert(
            "signpost_http_requests_total{listener=\"public\",route=\"/b/{slug}\",method=\"GET\",status=\"303\"}",
            1.0,
        );
        samples.assert(
            "signpost_http_request_duration_seconds_count{listener=\"public\",route=\"/callback/{slug}\",method=\"GET\"}",
            1.0,
        );
        for endpoint in ["discovery", "jwks", "token"] {
            let labels = format!("biller=\"riverside-water\",endpoint=\"{endpoint}\"");
            samples.assert(&format!("signpost_issuer_calls_total{{{labels},outcome=\"success\"}}"), 1.0);
            samples.assert(&format!("signpost_issuer_call_duration_seconds_count{{{labels}}}"), 1.0);
        }
        samples.assert("signpost_issuer_circuit_breaker_open{biller=\"riverside-water\"}", 0.0);

        let key = crate::billers_api::ApiClient::new(&world, &[signpost::access::Scope::HandoffRedeem], None).await;
        let token = portal.split("token=").nth(1).unwrap();
        for _ in 0..2 {
            key.send("POST", "/api/v1/handoffs/redeem", &json!({ "token": token })).await;
        }
        let samples = scrape(&world).await;
        samples.assert("signpost_handoffs_redeemed_total{kind=\"portal\"}", 1.0);
        samples.assert("signpost_handoffs_rejected_total", 1.0);
    })
    .await;
}

#[tokio::test]
async fn the_process_is_measured() {
    let world = World::start().await;
    let before = scrape(&world).await;
    let files: Vec<_> = (0..50).map(|_| std::fs::File::open(world.folder.path()).unwrap()).collect();
    let after = scrape(&world).await;
    let of = |samples: &Samples, series: &str| samples.get(series).unwrap_or_else(|| panic!("{series}"));
    let opened = of(&after, "process_open_fds") - of(&before, "process_open_fds");
    assert!((40.0..60.0).contains(&opened), "{opened} of {}", files.len());
    assert!(of(&after, "process_open_fds") < of(&after, "process_max_fds"));
    assert!(of(&after, "process_resident_memory_bytes") > 4e6, "more than four megabytes");
    assert!(of(&after, "process_cpu_seconds_total") >= of(&before, "process_cpu_seconds_total"));
    let age = Clock::System.now().seconds() as f64 - of(&after, "process_start_time_seconds");
    assert!((-2.0..600.0).contains(&age), "{age} s old");
}

#[tokio::test]
async fn calls_of_the_management_api_are_counted_by_endpoint() {
    let world = World::start().await;
    crate::outbox::migrate_biller(&world).await;
    let samples = scrape(&world).await;
    for (endpoint, method) in
        [("token", "POST"), ("organizations", "POST"), ("pools", "POST"), ("clients", "POST"), ("users", "GET")]
    {
        let labels = format!("endpoint=\"{endpoint}\",method=\"{method}\"");
        let calls = samples.get(&format!("signpost_management_calls_total{{{labels},outcome=\"success\"}}"));
        assert!(calls.is_some_and(|count| count >= 1.0), "{endpoint}: {calls:?} in {:#?}", samples.0);
        let timed = samples.get(&format!("signpost_management_call_duration_seconds_count{{{labels}}}"));
        assert!(timed >= calls, "{endpoint}: {timed:?}");
    }
    let before = "signpost_management_calls_total{endpoint=\"organizations\",method=\"GET\",outcome=\"not_found\"}";
    assert!(samples.get(before).is_some_and(|count| count >= 1.0), "a lookup before the creation");
    world.issuers.faults().add(FaultRule::new("GET", "/organizations/", Fault::status(500)).times(1));
    world.management().organization("acme").await.unwrap();
    let failed = "signpost_management_calls_total{endpoint=\"organizations\",method=\"GET\",outcome=\"server_error\"}";
    scrape(&world).await.assert(failed, 1.0);
    assert!(!samples.0.keys().any(|series| series.contains("pinehill") && series.contains("management")), "no ids");
}

/// The reason in the metric is the one of the decision record (docs/reference/diagnosis.md).
#[tokio::test]
async fn refusals_have_the_reason_of_the_decision_record() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "stranger").await;
    let captured = Captured::default();
    let guard = captured.subscribe("off,signpost=warn");
    let page = browser.get(&callback).await;
    drop(guard);
    let log = captured.text();
    assert!(log.contains("reason=\"unknown_user\"") && log.contains("biller=riverside-water"), "{log}");
    let start = browser.get("/b/riverside-water").await;
    let authorize = url::Url::parse(&start.location()).unwrap();
    let state = authorize.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let iss = world.issuer("riverside-water");
    let denied = signpost_core::paths::with_query("/callback/riverside-water", "error", "access_denied");
    let denied = signpost_core::paths::with_query(&denied, "state", &state);
    let denied = signpost_core::paths::with_query(&denied, "iss", &iss);
    let cancelled = browser.get(&denied).await;
    for (page, reason) in [(page, "unknown_user"), (cancelled, "access_denied")] {
        let signpost::audit::LookupResult::Recorded(entry) = world.decision(&page.reference()).await else {
            panic!("no decision record: {}", page.body);
        };
        assert_eq!(entry.details["reason"], reason);
    }
    // A path can name any biller, and a browser can send any method.
    browser.get("/callback/no-such-biller?state=x").await;
    browser.send(Request::builder().method("HEAD").uri("/callback/riverside-water")).await;
    let samples = scrape(&world).await;
    samples.assert("signpost_sign_ins_refused_total{biller=\"riverside-water\",reason=\"unknown_user\"}", 1.0);
    samples.assert("signpost_sign_ins_refused_total{biller=\"riverside-water\",reason=\"access_denied\"}", 1.0);
    samples.assert("signpost_sign_ins_refused_total{biller=\"\",reason=\"invalid_state\"}", 1.0);
    let refused = samples.0.iter().filter(|(series, _)| series.starts_with("signpost_sign_ins_refused"));
    assert_eq!(refused.map(|(_, count)| count).sum::<f64>(), 3.0, "{:#?}", samples.0);
    samples.assert("signpost_sign_ins_completed_total{biller=\"riverside-water\"}", 0.0);
}

#[tokio::test]
async fn issuer_failures_are_counted_by_their_reason() {
    let world = World::start().await;
    world.browser().get("/b/cedar-county").await;
    let samples = scrape(&world).await;
    let calls = "signpost_issuer_calls_total{biller=\"cedar-county\",endpoint=\"discovery\",outcome=\"server_error\"}";
    samples.assert(calls, 1.0);
    samples.assert("signpost_sign_ins_refused_total{biller=\"cedar-county\",reason=\"server_error\"}", 1.0);
    assert!(!samples.has("signpost_issuer_calls_total{biller=\"riverside-water\""));
}

#[tokio::test]
async fn decisions_wait_and_are_dropped_in_public_view() {
    let Some((world, mut proxy)) = World::behind_proxy("").await else { return };
    proxy.stop().await;
    let record = || world.state.decisions.record(CodeKind::Error, LogEntry { response: "page", ..LogEntry::default() });
    record();
    world.clock.advance(Duration::from_secs(30));
    let waiting = async || {
        let samples = scrape(&world).await;
        let age = samples.get("signpost_queue_oldest_age_seconds{queue=\"decision_log\"}")?;
        (age >= 30.0).then(|| samples.get("signpost_queue_entries{queue=\"decision_log\"}"))
    };
    assert_eq!(wait_for(Duration::from_secs(20), "the entry waits", waiting).await, Some(1.0));
    for _ in 0..30_000 {
        record();
    }
    let dropped = scrape(&world).await.get("signpost_decision_log_dropped_entries_total").unwrap();
    assert!((1.0..30_000.0).contains(&dropped), "{dropped}");
    proxy.resume().await;
}

/// Names and labels of the series are an interface: the table has all, and a scrape nothing else.
#[tokio::test]
async fn a_scrape_has_the_series_of_the_table() {
    let world = World::start().await;
    world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    world.browser().get("/callback/riverside-water").await;
    let riverside = world.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
    world.state.directory.record_setup_fault(&riverside, "invalid_client", now()).await.unwrap();
    world.state.metrics.record_scrape_failure("mail");
    world.management().organization("acme").await.unwrap();
    let label = Regex::new(r#"(\w+)="[^"]*""#).unwrap();
    let mut seen = BTreeSet::new();
    for sample in scrape(&world).await.0.keys() {
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let labels: Vec<&str> = label.captures_iter(labels).map(|found| found.get(1).unwrap().as_str()).collect();
        let labels: Vec<&str> = labels.into_iter().filter(|name| *name != "le").collect();
        let series = series::ALL.into_iter().find(|series| {
            let base = series.name();
            match series.kind {
                SeriesKind::Histogram => {
                    ["_bucket", "_sum", "_count"].iter().any(|suffix| name == format!("{base}{suffix}"))
                }
                SeriesKind::Counter | SeriesKind::Gauge => name == base,
            }
        });
        let series = series.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(labels, series.labels, "{name}");
        assert!(!sample.contains("one-moved"), "{sample} names a user");
        seen.insert(series.name());
    }
    let all: BTreeSet<String> = series::ALL.iter().map(|series| series.name()).collect();
    assert_eq!(seen, all);
}

/// Every series in the text, with the labels that a selector or an aggregation names beside it.
fn named_series(text: &str) -> Vec<(String, Vec<String>)> {
    let selector = Regex::new(r"\b(?:signpost|process)_[a-z_]+\b(\{[^}]*\})?").unwrap();
    let label = Regex::new(r"(\w+)\s*(=~|!~|!=|=)").unwrap();
    let named = selector.captures_iter(text).map(|found| {
        let matchers = found.get(1).map_or("", |matchers| matchers.as_str());
        let labels = label.captures_iter(matchers).map(|found| found[1].to_owned()).collect();
        (found[0].split('{').next().unwrap().to_owned(), labels)
    });
    named.collect()
}

#[test]
fn dashboard_and_alerts_name_series_of_the_table() {
    let dashboard: Value = serde_json::from_str(include_str!("../../contrib/grafana/signpost.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut texts: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    texts.extend(variables.filter_map(|variable| variable["definition"].as_str()));
    assert!(texts.len() > 25, "the panels were found");
    texts.push(include_str!("../../contrib/prometheus/alerts.yml"));
    texts.push(include_str!("../../contrib/prometheus/alerts_test.yml"));
    let mut used = BTreeSet::new();
    for (name, labels) in texts.into_iter().flat_map(named_series) {
        let series = series::ALL.into_iter().find(|series| {
            let is_histogram = series.kind == SeriesKind::Histogram;
            name == series.name() || (is_histogram && name == format!("{}_bucket", series.name()))
        });
        let series = series.unwrap_or_else(|| panic!("{name} does not exist"));
        for label in labels {
            let is_known = series.labels.contains(&label.as_str()) || ["instance", "job", "le"].contains(&&*label);
            assert!(is_known, "{name} has no label {label}");
        }
        used.insert(series.name());
    }
    let unused: Vec<_> = series::ALL.iter().map(|series| series.name()).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "no panel and no alert uses {unused:?}");
}

#[tokio::test]
async fn readiness_turns_before_connections_are_refused() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&format!("sqlite:{}", folder.path().join("test.db").display()));
    config.server.drain_seconds = 1;
    config.server.shutdown_delay_seconds = 2;
    let app = App::build(config, Schema::Migrate, Clock::System, Random::system()).await.unwrap();
    let app = app.with_internal_listeners().await.unwrap();
    let management = format!("http://{}", app.management_address().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (public, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(app.serve(listener, stop.clone()));
    assert_eq!(external_get(&format!("{management}/readyz")).await.0, 200);
    stop.cancel();
    let unready = async || {
        let (status, _) = external_get(&format!("{management}/readyz")).await;
        (status == 503).then_some(())
    };
    wait_for(Duration::from_secs(2), "readiness turns", unready).await;
    assert!(tokio::net::TcpStream::connect(public).await.is_ok(), "customers are served meanwhile");
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(public).await.is_err());
}
