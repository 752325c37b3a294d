//! What a log line has, and what never stands in one: codes, tokens, cookies, usernames.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};

use http::Request;
use serde_json::{Value, json};
use signpost::sql;
use signpost::web::client::Peer;

use tracing_subscriber::fmt::MakeWriter;

use crate::harness::{Browser, World, each_database};

#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Captures the lines of this thread, in which a test's runtime runs.
    pub(crate) fn subscribe(&self, filter: &str) -> tracing::subscriber::DefaultGuard {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(self.clone());
        tracing::subscriber::set_default(lines.finish())
    }

    /// As `subscribe`, in the form of `log.format = "json"`.
    fn subscribe_json(&self, filter: &str) -> tracing::subscriber::DefaultGuard {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let lines = tracing_subscriber::fmt().json().with_span_list(false).with_env_filter(filter);
        tracing::subscriber::set_default(lines.with_writer(self.clone()).finish())
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Captured {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let captured = Captured::default();
    let _guard = captured.subscribe("info,signpost=trace");
    let world = World::start().await;
    let mut browser = world.browser();
    let mut secrets: Vec<String> = ["one-moved", "One-Legacy", "stranger", "two-legacy"].map(str::to_owned).to_vec();
    for name in ["One-Legacy", "two-legacy"] {
        let answer = browser.post("/login", &[("username", name)]).await;
        secrets.push(answer.location().split("token=").nth(1).unwrap().to_owned());
    }
    let notice = browser.post("/login", &[("username", "one-moved"), ("password", "canary-password")]).await;
    secrets.push("canary-password".to_owned());
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
    secrets.push(portal.split("token=").nth(1).unwrap().to_owned());
    secrets.extend(browser.cookies.values().cloned());
    browser.get(&callback).await;
    let stranger = world.browser().get("/b/riverside-water").await;
    let refused = world.authenticate(&stranger.location(), "stranger").await;
    world.browser().get(&refused).await;
    browser.post("/logout", &[]).await;
    crate::handoffs::redeem(&world, portal.split("token=").nth(1).unwrap()).await;
    world.state.decisions.flush().await;
    // The mail server's answer repeats the address.
    for (code, seconds) in [(451, 31), (550, 0)] {
        world.mailbox.set_fault_mode(secureauth_standin::FaultMode::RejectRecipients(code));
        for path in ["/recover/links", "/reset"] {
            browser.post(path, &[("username", "one-moved")]).await;
        }
        browser.post("/recover/links", &[("username", "canary@mail.example")]).await;
        world.run_queued_tasks().await;
        world.advance(std::time::Duration::from_secs(seconds)).await;
    }
    secrets.extend(["canary@".to_owned(), "mail.example".to_owned()]);

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let is_callback = |line: &str| line.contains("route=\"/callback/{slug}\"") && line.contains("status=303");
    assert!(log.lines().any(is_callback), "requests are logged by route: {log}");
    assert!(log.contains("smtp 451") && log.contains("smtp 550"), "and mails by their fate: {log}");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} stands in the log");
    }
}

/// What a request logs can be joined by its id, and by what the proxy, the biller and the customer know.
#[tokio::test]
async fn every_line_of_a_request_carries_its_fields() {
    let captured = Captured::default();
    let _guard = captured.subscribe_json("off,signpost=info");
    let world = World::start().await;
    let state = world.state.with(|services| {
        let mut config = (*services.config).clone();
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        services.config = Arc::new(config);
    });
    let browser = Browser::new(signpost::app::router(state));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (peer, request_id, is_kept) in [("10.0.0.1:9", "proxy-1", true), ("203.0.113.9:9", "stranger-1", false)] {
        captured.0.lock().unwrap().clear();
        let peer = Peer::Address(peer.parse().unwrap());
        let request = Request::get("/b/cedar-county?secret=x")
            .header("x-request-id", request_id)
            .header("traceparent", format!("00-{trace}-1111222233334444-01"))
            .extension(peer);
        let page = browser.clone().send(request).await;
        let id = page.header("x-request-id").to_owned();
        assert_eq!(id == request_id, is_kept);
        let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!lines.is_empty());
        for line in &lines {
            let span = &line["span"];
            assert_eq!(
                (&span["name"], &span["request"], &span["method"], &span["route"]),
                (&json!("http"), &json!(id), &json!("GET"), &json!("/b/{slug}")),
                "{line}"
            );
            assert_eq!(span.get("trace"), is_kept.then_some(&json!(trace)), "{line}");
        }
        let last = &lines.last().unwrap()["span"];
        assert_eq!((&last["biller"], &last["reference"]), (&json!("cedar-county"), &json!(page.reference())));
        assert!(!log.contains("secret"), "{log}");
    }
}

/// Requests whose path names no biller.
#[tokio::test]
async fn verify_and_redeem_log_their_biller() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(tracing_subscriber::EnvFilter::new("off,signpost=info"))
        .with_writer(captured.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::start().await;
    let mut browser = world.browser();
    let portal = world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let biller_of_last_line = |route: &str| {
        let log = String::from_utf8(std::mem::take(&mut *captured.0.lock().unwrap())).unwrap();
        let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(last["span"]["route"], route);
        last["span"]["biller"].clone()
    };
    browser.get("/auth/verify?biller=riverside-water").await;
    assert_eq!(biller_of_last_line("/auth/verify"), "riverside-water");
    browser.get("/auth/verify?biller=invented").await;
    assert!(biller_of_last_line("/auth/verify").is_null(), "a log has no words of strangers");
    crate::handoffs::redeem(&world, portal.split("token=").nth(1).unwrap()).await.unwrap();
    assert_eq!(biller_of_last_line("/api/v1/handoffs/redeem"), "riverside-water");
}

#[tokio::test]
async fn decision_log_contains_no_plain_usernames() {
    each_database(|world| async move {
        world.browser().post("/login", &[("username", "one-moved")]).await;
        world.browser().post("/login", &[("username", "unheard-of-name")]).await;
        world.state.decisions.flush().await;
        let rows = world
            .state
            .db
            .all(sql!("SELECT username_hash, username_mask, details, response FROM decision_log"), Vec::new())
            .await
            .unwrap();
        assert_eq!(rows.len(), 2);
        for row in rows {
            for column in ["username_hash", "username_mask", "details", "response"] {
                let text = row.text(column).unwrap();
                assert!(!text.contains("one-moved") && !text.contains("unheard-of-name"), "{text}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn reference_code_finds_the_decision() {
    each_database(|world| async move {
        let page = world.browser().post("/login", &[("username", "two-moved")]).await;
        match world.decision(&page.reference()).await {
            signpost::audit::LookupResult::Recorded(entry) => {
                assert_eq!((entry.kind.as_str(), entry.response.as_str()), ("row 5", "recovery page"));
                let facts: signpost_core::decision::Facts =
                    serde_json::from_value(entry.details["facts"].clone()).unwrap();
                let again = serde_json::to_value(signpost_core::decision::decide(&facts)).unwrap();
                assert_eq!(again, entry.details["verdict"], "the facts as they were decide the same again");
            }
            other => panic!("{other:?}"),
        }
        let form = world.browser().get("/login").await;
        let found = world.decision(&form.reference()).await;
        assert!(matches!(
            found,
            signpost::audit::LookupResult::NotRecorded(signpost_core::reference::CodeKind::Page, _)
        ));
    })
    .await;
}

/// The log stores the outcome and the facts. If the rules have changed since, it says what was decided, not why.
#[tokio::test]
async fn decision_that_cannot_be_replayed_has_its_outcome_but_no_trace() {
    each_database(|world| async move {
        let page = world.browser().post("/login", &[("username", "one-moved")]).await;
        let code = page.reference();
        world.state.decisions.flush().await;
        let forged = sql!("UPDATE decision_log SET kind = 'row 3', response = 'redirect to the legacy login'");
        assert_eq!(world.state.db.run(forged, vec![]).await.unwrap(), 1);
        let signpost::audit::LookupResult::Recorded(entry) = world.decision(&code).await else { panic!("recorded") };
        let verdict = &entry.details["verdict"];
        assert_eq!((&verdict["row"], &verdict["decision"]), (&json!(3), &json!("legacy_login")));
        assert_eq!((&verdict["rule"], &verdict["trace"]), (&json!("single_migrated"), &json!([])));
    })
    .await;
}

#[tokio::test]
async fn decision_takes_few_bytes() {
    let world = World::start().await;
    for name in ["one-moved", "unheard-of-name"] {
        world.browser().post("/login", &[("username", name)]).await;
    }
    world.state.decisions.flush().await;
    let rows = world.state.db.all(
        sql!("SELECT length(code) + length(kind) + length(coalesce(biller, '')) + length(username_hash) \
              + length(username_mask) + length(response) + length(details) AS bytes, details FROM decision_log ORDER BY at"),
        Vec::new(),
    );
    let rows = rows.await.unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let bytes = row.int("bytes").unwrap();
        assert!(bytes < 350, "{bytes} bytes: {}", row.text("details").unwrap());
    }
}

#[tokio::test]
async fn invented_addresses_are_not_recorded() {
    let world = World::start().await;
    let mut browser = world.browser();
    for n in 0..20 {
        browser.get(&format!("/b/made-up-{n}")).await;
        browser.get(&format!("/callback/made-up-{n}?state=x")).await;
        browser.get(&format!("/callback/riverside-water?state={n}")).await;
        browser.get(&format!("/b/riverside-water?h={n}")).await;
        browser.get(&format!("/nothing/{n}")).await;
    }
    world.state.decisions.flush().await;
    let rows = world.state.db.all(sql!("SELECT kind FROM decision_log"), Vec::new()).await.unwrap();
    assert_eq!(rows.len(), 0);
}

#[tokio::test]
async fn outage_reference_code_finds_the_outage() {
    let world = World::start().await;
    let page = world.browser().get("/b/cedar-county").await;
    match world.decision(&page.reference()).await {
        signpost::audit::LookupResult::Recorded(entry) => {
            assert_eq!((entry.kind.as_str(), entry.response.as_str()), ("row 8", "outage page"));
        }
        other => panic!("{other:?}"),
    }
}

/// The names of docs/reference/logging.md.
struct DocumentedNames {
    members: BTreeSet<String>,
    of_request: BTreeSet<String>,
    spans: BTreeMap<String, BTreeSet<String>>,
}

impl DocumentedNames {
    fn read() -> Self {
        let page = include_str!("../../docs/reference/logging.md");
        // The names in the first cells of the rows below a heading.
        let rows = |heading: &str, cells: usize| -> Vec<Vec<String>> {
            let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
            let rows = section.lines().filter(|line| line.starts_with("| `"));
            rows.map(|row| row.split('`').skip(1).step_by(2).take(cells).map(str::to_owned).collect()).collect()
        };
        let mut spans = BTreeMap::<_, BTreeSet<_>>::new();
        for row in rows("Spans", 2) {
            let [span, field] = row.try_into().unwrap();
            assert!(spans.entry(span).or_default().insert(field));
        }
        let names = |heading: &str| rows(heading, 1).concat().into_iter().collect();
        Self { members: names("Every line"), of_request: names("The line of a request"), spans }
    }
}

/// One line at least of each kind.
async fn log_every_kind(world: &World) {
    let state = world.state.with(|services| {
        let mut config = (*services.config).clone();
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        services.config = Arc::new(config);
    });
    let request = Request::get("/b/cedar-county")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-1111222233334444-01")
        .extension(Peer::Address("10.0.0.1:9".parse().unwrap()));
    Browser::new(signpost::app::router(state)).send(request).await;
    world.browser().get("/nothing").await;
    world.mailbox.set_fault_mode(secureauth_standin::FaultMode::RejectRecipients(451));
    world.browser().post("/recover/links", &[("username", "one-moved")]).await;
    world.run_queued_tasks().await;
    crate::outbox::migrate_biller(world).await;
    let change = signpost::directory::UserUpdate { first_name: Some("Ann".to_owned()), ..Default::default() };
    crate::outbox::update_user(world, "ann", change).await;
    let refused = secureauth_standin::Fault::status(422);
    world.issuers.faults().add(secureauth_standin::FaultRule::new("PATCH", "/users/", refused).times(10));
    world.state.provisioning.deliver().await.unwrap();
}

#[tokio::test]
async fn log_lines_have_the_documented_names() {
    let captured = Captured::default();
    let _guard = captured.subscribe_json("off,signpost=info");
    let world = World::start().await;
    captured.clear();
    log_every_kind(&world).await;

    let documented = DocumentedNames::read();
    let names = |object: &Value| -> BTreeSet<String> {
        object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let without = |mut names: BTreeSet<String>, name: &str| {
        names.remove(name);
        names
    };
    let (mut members, mut spans) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for line in captured.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        members.extend(names(&line));
        if let Some(span) = line["span"]["name"].as_str() {
            spans.entry(span.to_owned()).or_default().extend(without(names(&line["span"]), "name"));
        }
        if line["fields"]["message"] == "request" {
            assert_eq!(without(names(&line["fields"]), "message"), documented.of_request, "{line}");
            assert!(line["fields"]["status"].is_u64() && line["fields"]["millis"].is_u64(), "{line}");
        }
        if line["span"]["route"] == "/b/{slug}" && line["fields"]["message"] == "request" {
            assert_eq!(names(&line["span"]).len(), documented.spans["http"].len() + 1, "all at once: {line}");
            assert_eq!((&line["span"]["row"], &line["span"]["rule"]), (&json!(8), &json!("issuer_health")), "{line}");
        }
    }
    assert_eq!(members, documented.members);
    assert_eq!(spans, documented.spans);
}

#[tokio::test]
async fn lines_of_text_have_the_same_names() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter(tracing_subscriber::EnvFilter::new("off,signpost=info"))
        .with_writer(captured.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::start().await;
    captured.clear();
    log_every_kind(&world).await;
    let documented = DocumentedNames::read();
    let log = captured.text();
    for (span, fields) in &documented.spans {
        let start = format!(" {span}{{");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&start)).collect();
        for field in fields {
            let found = lines.iter().any(|line| {
                let fields = line.split_once(&start).unwrap().1;
                fields.starts_with(&format!("{field}=")) || fields.contains(&format!(" {field}="))
            });
            assert!(found, "{span} {field} in\n{log}");
        }
    }
    let request = log.lines().find(|line| line.contains(": request ")).unwrap();
    assert!(documented.of_request.iter().all(|field| request.contains(&format!(" {field}="))), "{request}");
}
