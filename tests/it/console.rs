//! The staff console: who gets in, how far, what it tells, and that looking changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, StatusCode};
use secureauth_standin::{Deps, Fault, FaultRule, IdpUser, IssuerState, Organization, SecureAuth};
use signpost::app::console_router;
use signpost::audit::{EventFilter, list_events};
use signpost_core::Random;
use signpost_core::routes::{Authentication, Method};

use crate::harness::{Browser, PASSWORD, TestResponse, World};

const CONSOLE: &str = "http://localhost:8084";
const ROLES: [&str; 3] = ["support", "operator", "auditor"];

/// A world with a console, and a provider where staff sign in.
pub(crate) struct ConsoleHarness {
    pub world: World,
    provider: secureauth_standin::SecureAuthStandIn,
}

impl ConsoleHarness {
    pub(crate) async fn open() -> Self {
        Self::with("").await
    }

    /// On SQLite and, where a server is named, on PostgreSQL.
    pub(crate) async fn on_each_database() -> Vec<Self> {
        let mut offices = vec![Self::open().await];
        offices.extend(Self::on_postgres().await);
        offices
    }

    /// On PostgreSQL, where a server is named.
    pub(crate) async fn on_postgres() -> Option<Self> {
        let (provider, settings) = Self::provider("").await;
        Some(Self::at(World::on_postgres(&settings).await?, provider).await)
    }

    async fn with(more: &str) -> Self {
        let (provider, settings) = Self::provider(more).await;
        Self::at(World::with_settings(&settings).await, provider).await
    }

    /// Where the provider of staff will listen, and settings that name it.
    async fn provider(more: &str) -> (tokio::net::TcpListener, String) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let settings = format!(
            "[console]\nlisten = \"127.0.0.1:8084\"\npublic_url = \"{CONSOLE}\"\nissuer = \"{base}/work/staff\"\n\
             client_id = \"console\"\nclient_secret = \"secret of console\"\n{more}\n"
        );
        (listener, settings)
    }

    async fn at(world: World, listener: tokio::net::TcpListener) -> Self {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let random = Random::system();
        let user = |name: &str| IdpUser {
            username: name.to_owned(),
            name: format!("Name of {name}"),
            email: format!("{name}@work.example"),
        };
        let staff = Organization {
            id: "staff".to_owned(),
            name: "Staff".to_owned(),
            state: IssuerState::Up,
            client_id: "console".to_owned(),
            client_secret: "secret of console".to_owned(),
            redirect_uris: vec![format!("{CONSOLE}/callback")],
            post_logout_redirect_uris: Vec::new(),
            users: ["support", "operator", "auditor", "second", "nobody"].map(user).into(),
        };
        let outside = SecureAuth {
            tenant: "work".to_owned(),
            password_hash: secureauth_standin::hash_password(PASSWORD, &random),
            organizations: vec![staff],
            api: None,
        };
        let deps = Deps::new(world.clock.clone(), random).unwrap();
        let provider = secureauth_standin::secureauth_app(outside, base, deps);
        for role in ROLES {
            provider.set_claim("staff", role, "roles", serde_json::json!(["unknown", role]));
        }
        provider.set_claim("staff", "second", "roles", serde_json::json!("operator"));
        tokio::spawn(secureauth_standin::serve(listener, provider.router(), std::future::pending()));
        Self { world, provider }
    }

    pub(crate) fn browser(&self) -> Browser {
        let console = console_router(&self.world.state).unwrap();
        let mut browser = Browser::new(console);
        browser.host = "localhost:8084";
        browser
    }

    /// Somebody at work.
    pub(crate) async fn sign_in(&self, username: &str) -> Browser {
        let mut browser = self.browser();
        let entered = self.enter(&mut browser, username, "/sign-in").await;
        assert_eq!(entered.status, StatusCode::OK, "{}", entered.body);
        browser
    }

    async fn enter(&self, browser: &mut Browser, username: &str, begin: &str) -> TestResponse {
        let start = browser.get(begin).await;
        assert_eq!(start.status, StatusCode::SEE_OTHER, "{}", start.body);
        let callback = self.world.authenticate(&start.location(), username).await;
        browser.get(callback.strip_prefix(CONSOLE).unwrap()).await
    }
}

fn cookie<'a>(answer: &'a TestResponse, name: &str) -> &'a str {
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let start = format!("{name}=");
    lines.into_iter().find(|line| line.starts_with(&start)).unwrap_or_default()
}

#[tokio::test]
async fn staff_sign_in_and_sign_out() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.browser();
        let outside = browser.get("/simulate").await;
        assert_eq!((outside.status, outside.title()), (StatusCode::UNAUTHORIZED, "Sign in to the console"));
        let begin = outside.link("Sign in</a>");
        assert_eq!(begin, "/sign-in?next=%2Fsimulate");
        let start = browser.get(&begin).await;
        assert!(start.location().contains("prompt=login") && start.location().contains("code_challenge_method=S256"));
        assert!(cookie(&start, "__Host-staff-t").contains("SameSite=Lax"));
        let callback = harness.world.authenticate(&start.location(), "support").await;
        let callback = callback.strip_prefix(CONSOLE).unwrap();
        let entered = browser.get(callback).await;
        let session = cookie(&entered, "__Host-staff");
        for part in ["SameSite=Strict", "HttpOnly", "Secure", "Path=/"] {
            assert!(session.contains(part), "{session}");
        }
        assert!(entered.body.contains("content=\"0; url=/simulate\""), "a step of our own: {}", entered.body);
        let inside = browser.get("/simulate").await;
        assert_eq!((inside.status, inside.title()), (StatusCode::OK, "Simulate a sign-in"));
        assert!(inside.body.contains("<strong>support</strong>"));
        let mut thief = harness.browser();
        thief.cookies.insert("__Host-staff-t".into(), "x".into());
        assert_eq!(thief.get(callback).await.status, StatusCode::BAD_REQUEST, "an answer for another browser");
        let before = browser.cookies.clone();
        let out = browser.post("/sign-out", &[]).await;
        assert_eq!((out.status, out.title()), (StatusCode::OK, "You are signed out"));
        assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
        browser.cookies = before;
        assert_eq!(browser.get("/simulate").await.status, StatusCode::UNAUTHORIZED, "the cookie alone opens nothing");
    }
}

#[tokio::test]
async fn callback_is_single_use_and_bound_to_its_request() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.browser();
        let start = browser.get("/sign-in").await;
        let callback = harness.world.authenticate(&start.location(), "support").await;
        let callback = callback.strip_prefix(CONSOLE).unwrap().to_owned();
        let cookies = browser.cookies.clone();
        for wrong in [
            callback.replace("state=", "state=x"),
            callback.replace("iss=", "iss=x"),
            callback.split("&iss=").next().unwrap().to_owned(),
            format!("{callback}&state=again"),
            "/callback?error=access_denied".to_owned(),
            "/callback".to_owned(),
        ] {
            browser.cookies = cookies.clone();
            let answer = browser.get(&wrong).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
            assert!(cookie(&answer, "__Host-staff").is_empty());
        }
        browser.cookies = cookies.clone();
        assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
        browser.cookies = cookies.clone();
        assert_eq!(browser.get(&callback).await.status, StatusCode::BAD_REQUEST, "a second time");
        browser.cookies = cookies;
        harness.world.advance(Duration::from_secs(601)).await;
        assert_eq!(browser.get(&callback).await.status, StatusCode::BAD_REQUEST, "too late");
        let away = browser.get("/sign-in?next=https%3A%2F%2Fevil.example%2F").await;
        let callback = harness.world.authenticate(&away.location(), "support").await;
        let entered = browser.get(callback.strip_prefix(CONSOLE).unwrap()).await;
        assert!(!entered.body.contains("evil.example") && entered.body.contains("url=/\""), "{}", entered.body);
    }
}

#[tokio::test]
async fn session_expires() {
    let harness = ConsoleHarness::with("idle_minutes = 15\nabsolute_hours = 1").await;
    let mut idle = harness.sign_in("support").await;
    harness.world.advance(Duration::from_secs(14 * 60)).await;
    assert_eq!(idle.get("/simulate").await.status, StatusCode::OK);
    harness.world.advance(Duration::from_secs(15 * 60 + 1)).await;
    let ended = idle.get("/simulate").await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
    assert!(ended.body.contains("Your session has ended"));
    let mut busy = harness.sign_in("support").await;
    for _ in 0..5 {
        assert_eq!(busy.get("/simulate").await.status, StatusCode::OK);
        harness.world.advance(Duration::from_secs(12 * 60)).await;
    }
    assert_eq!(busy.get("/simulate").await.status, StatusCode::UNAUTHORIZED, "after an hour whatever happens");
}

#[tokio::test]
async fn staff_without_a_role_get_no_session() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.browser();
        let answer = harness.enter(&mut browser, "nobody", "/sign-in").await;
        assert_eq!((answer.status, answer.title()), (StatusCode::FORBIDDEN, "No console role"));
        assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
        harness.provider.set_issuer_state("staff", IssuerState::Down);
        let mut late = harness.browser();
        let answer = late.get("/sign-in").await;
        assert!(matches!(answer.status.as_u16(), 303 | 503), "{}", answer.status);
    }
}

/// Pages and forms: method, path, and who may.
const PAGES: &[(&str, &str, &[&str])] = &[
    ("GET", "/", &ROLES),
    ("GET", "/simulate", &ROLES),
    ("POST", "/simulate", &ROLES),
    ("GET", "/simulate/batch", &ROLES),
    ("GET", "/decisions", &ROLES),
    ("POST", "/decisions", &ROLES),
    ("GET", "/users", &ROLES),
    ("POST", "/users", &ROLES),
    ("GET", "/billers", &ROLES),
    ("GET", "/billers/riverside-water", &ROLES),
    ("GET", "/billers/oakdale-city/readiness", &ROLES),
    ("GET", "/billers/riverside-water/secureauth", &ROLES),
    ("GET", "/kill-switch", &ROLES),
    ("GET", "/changes", &ROLES),
    ("GET", "/health", &ROLES),
    ("GET", "/keys", &ROLES),
    ("POST", "/new-key", &["operator"]),
    ("GET", "/audit", &["operator", "auditor"]),
    ("POST", "/audit/export", &["operator", "auditor"]),
    ("GET", "/new-biller", &["operator"]),
    ("POST", "/new-biller", &["operator"]),
    ("GET", "/billers/riverside-water/ciam", &["operator"]),
    ("POST", "/billers/riverside-water/ciam", &["operator"]),
    ("POST", "/billers/riverside-water/pause", &["operator"]),
    ("GET", "/billers/riverside-water/rollout", &["operator"]),
    ("POST", "/billers/riverside-water/rollout", &["operator"]),
    ("GET", "/billers/riverside-water/settings", &["operator"]),
    ("POST", "/billers/riverside-water/settings", &["operator"]),
    ("POST", "/billers/riverside-water/secureauth", &["operator"]),
    ("POST", "/set-kill-switch", &["operator"]),
    ("POST", "/simulate/batch", &ROLES),
    ("GET", "/jobs/unknown", &ROLES),
    ("GET", "/jobs/unknown/events", &ROLES),
    ("POST", "/jobs/unknown/cancel", &["operator"]),
    ("GET", "/impact/unknown/events", &["operator"]),
    ("POST", "/keys/unknown/revoke", &["operator"]),
    ("POST", "/changes/unknown", &["operator"]),
];

#[test]
fn every_route_has_its_roles() {
    for route in signpost::console::routes::all() {
        for method in [Method::Get, Method::Post] {
            if route.authentication(method) != Some(Authentication::Session) {
                continue;
            }
            let is_row = |(row_method, path, _): &(&str, &str, &[&str])| {
                let (pattern, path): (Vec<&str>, Vec<&str>) =
                    (route.path.split('/').collect(), path.split('/').collect());
                let is_match = |(expected, found): (&&str, &&str)| expected.starts_with('{') || expected == found;
                *row_method == method.as_str() && pattern.len() == path.len() && pattern.iter().zip(&path).all(is_match)
            };
            assert!(PAGES.iter().any(is_row), "{} {} is in no row of PAGES", method.as_str(), route.path);
        }
    }
}

#[tokio::test]
async fn every_page_enforces_its_roles() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut people = vec![("", harness.browser())];
        for role in ROLES {
            people.push((role, harness.sign_in(role).await));
        }
        for (method, path, allowed) in PAGES {
            for (role, browser) in &mut people {
                let answer = if *method == "GET" { browser.get(path).await } else { browser.post(path, &[]).await };
                let may = allowed.contains(role);
                let expected = match (role.is_empty(), may) {
                    (true, _) => answer.status == StatusCode::UNAUTHORIZED,
                    (false, false) => answer.status == StatusCode::FORBIDDEN,
                    (false, true) if path.contains("/unknown") => answer.status == StatusCode::NOT_FOUND,
                    (false, true) => !matches!(answer.status.as_u16(), 401 | 403 | 404 | 405 | 500..),
                };
                assert!(expected, "{method} {path} as {role:?}: {}", answer.status);
                assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            }
        }
        let (_, support) = &mut people[1];
        assert_eq!(support.get("/no-such-page").await.status, StatusCode::NOT_FOUND);
        assert_eq!(support.get("/new-biller").await.title(), "Access denied");
    }
}

#[tokio::test]
async fn cross_site_posts_are_rejected_and_links_need_a_same_site_step() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("support").await;
        for header in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
            let request = Request::post("/sign-out").header(header.0, header.1);
            let answer = browser.send(request).await;
            assert_eq!(
                (answer.status, answer.title()),
                (StatusCode::FORBIDDEN, "Cross-site request blocked"),
                "{header:?}"
            );
        }
        assert_eq!(browser.get("/simulate").await.status, StatusCode::OK, "still signed in");
        let mut from_elsewhere = harness.browser();
        let request = Request::get("/simulate?q=x").header("sec-fetch-site", "cross-site");
        let step = from_elsewhere.send(request).await;
        assert_eq!(step.status, StatusCode::OK);
        assert!(step.body.contains("content=\"0; url=/simulate?q=x\""), "{}", step.body);
    }
}

#[tokio::test]
async fn console_and_public_host_are_separate() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut staff = harness.sign_in("operator").await;
        let mut customer = harness.world.browser();
        harness.world.sign_in(&mut customer, "riverside-water", "one-moved").await;
        customer.cookies.append(&mut staff.cookies.clone());
        for path in ["/simulate", "/decisions", "/sign-in"] {
            assert_eq!(customer.get(path).await.status, StatusCode::NOT_FOUND, "{path} on the public host");
        }
        let mut stranger = harness.browser();
        stranger.cookies = customer.cookies.clone();
        stranger.cookies.remove("__Host-staff");
        assert_eq!(
            stranger.get("/simulate").await.status,
            StatusCode::UNAUTHORIZED,
            "a customer's session opens nothing"
        );
        let wrong_host = Request::get("/simulate").header("host", "localhost:8080");
        assert_eq!(staff.send(wrong_host).await.status, StatusCode::MISDIRECTED_REQUEST);
    }
}

async fn ask(browser: &mut Browser, fields: &[(&str, &str)]) -> (String, TestResponse) {
    let sent = browser.post("/simulate", fields).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let link = sent.location();
    let answer = browser.get(&link).await;
    (link, answer)
}

#[tokio::test]
async fn simulation_shows_verdict_trace_and_customer_page() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("support").await;
        let (link, answer) = ask(&mut browser, &[("username", "One-Moved"), ("locale", "es")]).await;
        assert!(!link.to_lowercase().contains("one-moved"), "no username in an address: {link}");
        assert_eq!(answer.status, StatusCode::OK);
        let text = &answer.body;
        assert!(text.contains("Goes to: Riverside Water – SecureAuth, via the bookmark notice"), "{text}");
        assert!(text.contains("if riverside-water were suspended"), "what would change it: {text}");
        assert!(text.contains("single_migrated") && text.contains("not evaluated"));
        assert!(text.contains("srcdoc=") && text.contains("http://pay.riverside.example"), "the notice page");
        assert!(text.contains("lang=&#34;es&#34;"), "in the language asked for");
        let ticket = text.split("<textarea id=\"text\"").nth(1).unwrap().split("</textarea>").next().unwrap();
        assert!(
            ticket.contains("username O***d at /login") && !ticket.to_lowercase().contains("one-moved"),
            "{ticket}"
        );
        assert!(text.contains("value=\"One-Moved\""), "shown to whoever typed it");
        let mut colleague = harness.sign_in("operator").await;
        let shared = colleague.get(&link).await;
        assert!(shared.body.contains("Goes to: Riverside Water"));
        assert!(shared.body.contains("Leave empty to use O***d from the link"), "{}", shared.body);
        let form = shared.body.split("srcdoc").next().unwrap();
        assert!(!form.contains("value=\"One-Moved\""), "and to nobody else");
        let kept = form.split("name=\"sealed_request\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let fields =
            [("username", ""), ("sealed_request", &*kept), ("biller-1", "riverside-water"), ("state-1", "suspended")];
        let (_, otherwise) = ask(&mut colleague, &fields).await;
        assert!(otherwise.body.contains("Goes to: Riverside Water – the legacy login"), "{}", otherwise.body);
        assert!(otherwise.body.contains("No page is shown"));
    }
}

#[tokio::test]
async fn every_override_affects_the_decision() {
    let harness = ConsoleHarness::open().await;
    let mut browser = harness.sign_in("support").await;
    let name = ("username", "one-moved");
    for (fields, goes_to) in [
        (vec![name, ("biller-1", "riverside-water"), ("issuer-1", "down")], "the outage page"),
        (vec![name, ("biller-2", "riverside-water"), ("percent-2", "0")], "the legacy login"),
        (vec![name, ("directory", "down")], "the legacy login"),
        (vec![name, ("kill_switch", "hold")], "the maintenance page"),
        (vec![("entry", "/b/riverside-water")], "SecureAuth"),
        (vec![("username", "two-moved"), ("remembered", "maple-electric")], "the recovery page"),
        (vec![("username", "moved-and-legacy"), ("at", "2030-01-01T00:00")], "the legacy login"),
    ] {
        let (_, answer) = ask(&mut browser, &fields).await;
        let line = answer.body.split("<h2 id=\"verdict\">").nth(1).unwrap().split("</h2>").next().unwrap();
        assert!(line.ends_with(goes_to), "{fields:?}: {line}");
    }
    for (fields, field) in [
        (vec![name, ("at", "tomorrow")], "at"),
        (vec![name, ("kill_switch", "everything")], "kill_switch"),
        (vec![name, ("biller-1", "No Slug!")], "biller-1"),
        (vec![name, ("percent-1", "5")], "biller-1"),
        (vec![name, ("biller-1", "riverside-water")], "biller-1"),
        (vec![name, ("biller-1", "riverside-water"), ("percent-1", "101")], "biller-1"),
    ] {
        let answer = browser.post("/simulate", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
        assert!(answer.body.contains(&format!("href=\"#{field}\"")), "{fields:?}");
    }
    for (fields, field) in
        [(vec![("username", "")], "username"), (vec![name, ("biller-1", "no-such"), ("state-1", "active")], "biller-1")]
    {
        let sent = browser.post("/simulate", &fields).await;
        let answer = browser.get(&sent.location()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
        assert!(answer.body.contains(&format!("href=\"#{field}\"")), "{fields:?}");
    }
    let changed = browser.get("/simulate?q=tampered").await;
    assert_eq!(changed.status, StatusCode::BAD_REQUEST);
}

/// Every row of every table but those of staff.
async fn rows(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut rows = world.dump_tables().await;
    rows.retain(|table, _| !["audit_event", "session", "consumed_token"].contains(&table.as_str()));
    rows
}

#[tokio::test]
async fn simulations_only_write_audit_events() {
    let harness = ConsoleHarness::with("lookups_per_minute = 1000\nlookups_per_day = 1000").await;
    let mut browser = harness.sign_in("support").await;
    harness.world.state.decisions.flush().await;
    let (before, calls) = (rows(&harness.world).await, harness.world.issuers.requests().len());
    let names = ["one-moved", "one-legacy", "two-moved", "two-legacy", "issuer-down", "nobody", "patient"];
    for round in 0..60 {
        let name = names[round % names.len()];
        let overrides = [("username", name), ("kill_switch", ["", "hold", "off"][round % 3])];
        assert_eq!(ask(&mut browser, &overrides).await.1.status, StatusCode::OK);
    }
    harness.world.state.decisions.flush().await;
    assert_eq!(rows(&harness.world).await, before);
    assert_eq!(harness.world.issuers.requests().len(), calls, "nobody outside was called");
    assert!(!before.is_empty());
}

#[tokio::test]
async fn lookups_are_rate_limited_per_person() {
    let harness = ConsoleHarness::with("lookups_per_minute = 3").await;
    let mut browser = harness.sign_in("support").await;
    for _ in 0..3 {
        assert_eq!(ask(&mut browser, &[("username", "one-moved")]).await.1.status, StatusCode::OK);
    }
    let (link, refused) = ask(&mut browser, &[("username", "one-moved")]).await;
    assert_eq!((refused.status, refused.title()), (StatusCode::TOO_MANY_REQUESTS, "Too many lookups"));
    let mut colleague = harness.sign_in("operator").await;
    assert_eq!(colleague.get(&link).await.status, StatusCode::OK, "each has their own");
}

async fn batch(browser: &mut Browser, list: &str, answer_as: &str) -> TestResponse {
    let part =
        |name: &str, text: &str| format!("--X\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
    let body = format!("{}{}--X--\r\n", part("list", list), part("format", answer_as));
    let request = Request::post("/simulate/batch")
        .header("content-type", "multipart/form-data; boundary=X")
        .header("sec-fetch-site", "same-origin");
    browser.send_with(request, body.into()).await
}

#[tokio::test]
async fn batch_simulation_exports_safe_csv() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("auditor").await;
        let list = "username,entry\none-moved,\n=cmd()|x,\n,/b/oakdale-city\n@sum,/nowhere\n";
        let answer = batch(&mut browser, list, "csv").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
        let mut reader = csv::Reader::from_reader(answer.body.as_bytes());
        let found: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let cell = |line: usize, at: usize| found[line].get(at).unwrap().to_owned();
        assert_eq!((cell(0, 1), cell(0, 4), cell(0, 5)), ("one-moved".into(), "riverside-water".into(), "2".into()));
        assert_eq!(cell(2, 3), "the legacy login");
        assert!(cell(3, 7).contains("not an address that Signpost serves"), "{}", cell(3, 7));
        for record in &found {
            for cell in record {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?} would be a formula");
            }
        }
        let page = batch(&mut browser, list, "page").await;
        assert!(page.body.contains("<h2 id=\"answers\">4 results</h2>"), "{}", page.body);
        let refused = batch(&mut browser, &"ann\n".repeat(501), "csv").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let long = batch(&mut browser, &"x".repeat(300 * 1024), "csv").await;
        assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[tokio::test]
async fn reference_code_finds_the_decision_and_the_lookup_is_audited() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut customer = harness.world.browser();
        let code = customer.post("/login", &[("username", "one-moved")]).await.reference();
        let mut browser = harness.sign_in("support").await;
        for (fields, field) in [
            (vec![("code", "nonsense"), ("reason", "ticket 17")], "code"),
            (vec![("code", &*code), ("reason", " ")], "reason"),
        ] {
            let answer = browser.post("/decisions", &fields).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(answer.body.contains(&format!("href=\"#{field}\"")), "{fields:?}");
        }
        let typed = code.to_lowercase().replace('-', " ");
        let answer = browser.post("/decisions", &[("code", &typed), ("reason", "ticket 17")]).await;
        assert_eq!(answer.status, StatusCode::OK);
        let text = &answer.body;
        for expected in [
            "Goes to: Riverside Water – SecureAuth, via the bookmark notice",
            "bookmark notice",
            "o***d",
            "membership of the username",
            "single_migrated",
            "<dt>Configuration</dt><dd>billers ",
            "2026-11-22T08:00:00Z",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(!text.contains("one-moved"), "no username in clear");
        let unknown = browser.post("/decisions", &[("code", "0000-0000-0000-0000"), ("reason", "ticket 17")]).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        let kept = list_events(&harness.world.state.db, &EventFilter::default(), None, 1000).await.unwrap();
        let looked_up: Vec<_> = kept.iter().filter(|event| event.action == "code.looked_up").collect();
        assert_eq!(looked_up.len(), 2, "also the one that found nothing");
        let first = looked_up.iter().find(|event| event.subject.as_deref() == Some(&*code)).unwrap();
        assert_eq!(first.reason.as_deref(), Some("ticket 17"));
        assert_eq!((first.actor.name.as_str(), first.actor.role.as_deref()), ("support", Some("support")));
    }
}

const CONFIRM: &str = "Enabling CIAM will initiate the creation of your organization and all its associated users in \
     SecureAuth. Please wait while the setup completes.";

/// Works until the job has ended; answers its page.
pub(crate) async fn wait_for_job(harness: &ConsoleHarness, browser: &mut Browser, job: &str) -> TestResponse {
    for _ in 0..60 {
        harness.world.state.provisioning.run_next_job().await.unwrap();
        let page = browser.get(job).await;
        if page.body.contains("<h2 id=\"progress\">Result</h2>") {
            return page;
        }
        assert!(page.body.contains(&format!("data-events=\"{job}/events\"")), "{}", page.body);
        harness.world.advance(Duration::from_secs(3)).await;
    }
    panic!("the job does not end");
}

#[tokio::test]
async fn biller_is_enabled_suspended_and_resumed_with_required_messages() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let place = "/billers/pinehill-gas";
        let page = browser.get(place).await;
        assert!(page.body.contains("Active (No): legacy") && page.link("Enable CIAM") == "/billers/pinehill-gas/ciam");
        let asked = browser.get("/billers/pinehill-gas/ciam").await;
        assert!(asked.body.contains(CONFIRM), "{}", asked.body);
        let stale = browser.post("/billers/pinehill-gas/ciam", &[("action", "suspend")]).await;
        assert_eq!(stale.status, StatusCode::CONFLICT, "it is not what the page showed");
        let started = browser.post("/billers/pinehill-gas/ciam", &[("action", "enable"), ("mode", "password")]).await;
        let job = started.location();
        let again = browser.post("/billers/pinehill-gas/ciam", &[("action", "enable")]).await;
        assert_eq!(again.location(), job, "a second toggle joins the running job");
        let done = wait_for_job(&harness, &mut browser, &job).await;
        assert!(done.body.contains("Organization and users successfully created in SecureAuth."), "{}", done.body);
        let events = browser.get(&format!("{job}/events")).await;
        assert!(events.body.contains("\"final\":true"), "{}", events.body);
        let page = browser.get(place).await;
        assert!(page.body.contains("Active (Yes)") && page.body.contains("Activation date"), "{}", page.body);
        let off = browser.post("/billers/pinehill-gas/ciam", &[("action", "suspend")]).await;
        assert_eq!(off.location(), "/billers/pinehill-gas?done=suspended");
        assert!(browser.get(place).await.body.contains("Active (No): suspended"));
        let on = browser.post("/billers/pinehill-gas/ciam", &[("action", "resume")]).await;
        assert_eq!(on.location(), "/billers/pinehill-gas?done=resumed");
        let kept = list_events(&harness.world.state.db, &EventFilter::default(), None, 1000).await.unwrap();
        for action in ["ciam.enablement_started", "ciam.suspended", "ciam.resumed"] {
            let event = kept.iter().find(|event| event.action == action).unwrap_or_else(|| panic!("no {action}"));
            assert_eq!((event.actor.kind.as_str(), event.actor.name.as_str()), ("staff", "operator"));
            assert_eq!(event.biller.as_deref(), Some("pinehill-gas"));
        }
    }
}

#[tokio::test]
async fn failed_job_shows_a_reference_code() {
    for harness in ConsoleHarness::on_each_database().await {
        harness.world.issuers.faults().add(FaultRule::new("PUT", "/configuration", Fault::status(422)).times(100));
        harness.world.issuers.faults().add(FaultRule::new("POST", "/clients", Fault::status(422)).times(100));
        let mut browser = harness.sign_in("operator").await;
        let job = browser.post("/billers/pinehill-gas/ciam", &[("action", "enable")]).await.location();
        let page = wait_for_job(&harness, &mut browser, &job).await;
        let failure = "An error occurred during Organization or user creation. Please contact support.";
        assert!(page.body.contains(failure), "{}", page.body);
        let code = page.reference();
        let found = browser.post("/decisions", &[("code", &code), ("reason", "ticket 17")]).await;
        assert_eq!(found.link("View job"), job);
    }
}

#[tokio::test]
async fn wizard_creates_billers_with_and_without_ciam() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let wrong = browser.post("/new-biller", &[("name", ""), ("slug", "No Slug")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.body.contains("href=\"#name\"") && wrong.body.contains("href=\"#slug\""), "{}", wrong.body);
        let taken = browser.post("/new-biller", &[("name", "Riverside"), ("slug", "riverside-water")]).await;
        assert!(taken.body.contains("Another biller already uses this slug"));
        let plain = [("name", "Lakeside <Power>"), ("slug", "lakeside-power"), ("phone", "+1 555 010 0199")];
        let made = browser.post("/new-biller", &plain).await;
        assert_eq!(made.location(), "/billers/lakeside-power?done=created");
        let page = browser.get(&made.location()).await;
        assert!(
            page.body.contains("Lakeside &#60;Power&#62;") && page.body.contains("+1 555 010 0199"),
            "{}",
            page.body
        );
        let with = [("name", "Hillside Power"), ("slug", "hillside-power"), ("ciam", "on"), ("mode", "mfa")];
        let confirm = browser.post("/new-biller", &with).await;
        assert!(confirm.body.contains(CONFIRM), "{}", confirm.body);
        assert_eq!(browser.get("/billers/hillside-power").await.status, StatusCode::NOT_FOUND, "nothing is made yet");
        let started = browser.post("/new-biller", &[&with[..], &[("confirmed", "yes")]].concat()).await;
        let done = wait_for_job(&harness, &mut browser, &started.location()).await;
        assert!(done.body.contains("Organization and users successfully created in SecureAuth."), "{}", done.body);
        let page = browser.get("/billers/hillside-power").await;
        assert!(page.body.contains("password and second factor"), "{}", page.body);
    }
}

#[tokio::test]
async fn controls_apply_to_the_next_request() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let mut customer = harness.world.browser();
        assert!(
            browser
                .post("/billers/riverside-water/pause", &[("pause", "yes")])
                .await
                .location()
                .ends_with("done=paused")
        );
        let held = customer.get("/b/riverside-water").await;
        assert_eq!(held.status, StatusCode::SERVICE_UNAVAILABLE);
        browser.post("/billers/riverside-water/pause", &[("pause", "no")]).await;
        assert_eq!(customer.get("/b/riverside-water").await.status, StatusCode::SEE_OTHER);
        let rollout = [("percent", "0"), ("active_from", "2026-11-01T00:00")];
        assert!(browser.post("/billers/riverside-water/rollout", &rollout).await.location().ends_with("done=rollout"));
        assert_eq!(customer.post("/login", &[("username", "one-moved")]).await.status, StatusCode::SEE_OTHER, "legacy");
        let wrong = browser.post("/billers/riverside-water/rollout", &[("percent", "101")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        browser.post("/billers/riverside-water/rollout", &[("percent", ""), ("active_from", "")]).await;
        assert_eq!(customer.post("/login", &[("username", "one-moved")]).await.status, StatusCode::OK);
        let unknown = browser.post("/set-kill-switch", &[("kill_switch", "biller"), ("biller", "no-such")]).await;
        assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
        let set = browser.post("/set-kill-switch", &[("kill_switch", "all-legacy")]).await;
        assert!(browser.get(&set.location()).await.body.contains("all-legacy"));
        assert_eq!(customer.post("/login", &[("username", "one-moved")]).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn sign_in_change_needs_approval() {
    for harness in ConsoleHarness::on_each_database().await {
        let (mut asker, mut second) = (harness.sign_in("operator").await, harness.sign_in("second").await);
        let place = "/billers/riverside-water/settings";
        let saved = crate::console_settings::save(&mut asker, place, &[("hosts", "pay.evil.example")]).await;
        assert_eq!(saved.location(), "/billers/riverside-water?done=pending");
        let page = asker.get("/changes").await;
        assert!(page.body.contains("pay.evil.example") && page.body.contains("Withdraw request"), "{}", page.body);
        assert!(page.body.contains("Requested by operator"), "{}", page.body);
        let decide = page.body.split("action=\"/changes/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let decide = format!("/changes/{decide}");
        assert_eq!(asker.post(&decide, &[("decision", "approve")]).await.status, StatusCode::FORBIDDEN, "by oneself");
        assert!(!second.get("/billers/riverside-water").await.body.contains("pay.evil.example"));
        let confirmed = second.post(&decide, &[("decision", "approve")]).await;
        assert_eq!(confirmed.location(), "/changes?done=approved");
        assert!(second.get("/billers/riverside-water").await.body.contains("pay.evil.example"));
        assert_eq!(
            second.post(&decide, &[("decision", "approve")]).await.status,
            StatusCode::NOT_FOUND,
            "it counts once"
        );
    }
}

#[tokio::test]
async fn staff_cannot_approve_with_another_session_or_a_key_of_theirs() {
    for harness in ConsoleHarness::on_each_database().await {
        let (mut asker, mut again) = (harness.sign_in("operator").await, harness.sign_in("operator").await);
        let fields = [("name", "mine"), ("billers:read", "on"), ("billers:write", "on")];
        let made = asker.post("/new-key", &fields).await;
        let key = made.body.split("<code id=\"key\">").nth(1).unwrap().split('<').next().unwrap();
        let mine = crate::billers_api::ApiClient::of(&harness.world, key);
        let place = "/billers/riverside-water/settings";
        crate::console_settings::save(&mut asker, place, &[("hosts", "pay.evil.example")]).await;
        let page = asker.get("/changes").await;
        let id = page.body.split("action=\"/changes/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let approve = serde_json::json!({ "approve": true });
        assert_eq!(mine.send("POST", &format!("/api/v1/changes/{id}"), &approve).await.0, StatusCode::FORBIDDEN);
        let decide = format!("/changes/{id}");
        assert_eq!(again.post(&decide, &[("decision", "approve")]).await.status, StatusCode::FORBIDDEN);
        let mut second = harness.sign_in("second").await;
        let approved = second.post(&decide, &[("decision", "approve")]).await;
        assert_eq!(approved.location(), "/changes?done=approved");
    }
}

#[tokio::test]
async fn impact_is_previewed_before_a_change() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let asked = browser.get("/billers/oakdale-city/ciam").await;
        assert!(asked.body.contains("Of 3 usernames at this biller, 3 would have a new destination"), "{}", asked.body);
        assert!(
            asked.body.contains("because they belong to several billers: 1."),
            "moved-and-legacy then has two moved ones"
        );
        assert!(asked.body.contains("o***y") && !asked.body.contains("one-legacy"), "samples are masked");
        let preview = browser.get("/billers/riverside-water/rollout?percent=0&active_from=").await;
        assert_eq!(preview.status, StatusCode::OK);
        assert!(preview.body.contains("usernames at this biller") && preview.body.contains("value=\"0\""));
        let wrong = browser.get("/billers/riverside-water/rollout?percent=101").await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let unchanged = browser.get("/billers/riverside-water").await;
        assert!(!unchanged.body.contains("rollout "), "nothing was changed");
    }
}

#[tokio::test]
async fn users_are_masked_unless_role_and_reason_allow() {
    for harness in ConsoleHarness::on_each_database().await {
        let (mut support, mut auditor) = (harness.sign_in("support").await, harness.sign_in("auditor").await);
        let without = support.post("/users", &[("username", "two-moved"), ("reason", "")]).await;
        assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY);
        let fields = [("username", "Two-Moved"), ("reason", "ticket 17"), ("unmask", "on")];
        let answer = support.post("/users", &fields).await;
        let shown = answer.body.split("class=\"stack\"").nth(1).unwrap();
        assert!(shown.contains("t***d@m***e") && shown.contains("Maple Electric"), "{shown}");
        assert!(!shown.contains("two-moved"), "support sees masks only: {shown}");
        let answer = auditor.post("/users", &fields[..2]).await;
        assert!(!answer.body.split("class=\"stack\"").nth(1).unwrap().contains("two-moved"), "masked by default");
        let answer = auditor.post("/users", &fields).await;
        assert!(answer.body.contains("two-moved@mail.example"), "{}", answer.body);
        let nobody = support.post("/users", &[("username", "no-such"), ("reason", "ticket 17")]).await;
        assert!(nobody.body.contains("No user has this username"));
        let kept = list_events(&harness.world.state.db, &EventFilter::default(), None, 1000).await.unwrap();
        let looked_up: Vec<_> = kept.iter().filter(|event| event.action == "user.looked_up").collect();
        assert_eq!(looked_up.len(), 4, "each with a reason");
        assert!(looked_up.iter().all(|event| event.reason.as_deref() == Some("ticket 17")));
        assert!(!format!("{looked_up:?}").to_lowercase().contains("two-moved"), "masked in the trail");
    }
}

#[tokio::test]
async fn sign_in_history_comes_from_secureauth() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let job = browser.post("/billers/pinehill-gas/ciam", &[("action", "enable")]).await.location();
        wait_for_job(&harness, &mut browser, &job).await;
        let start = harness.world.browser().get("/b/pinehill-gas").await;
        let (_, page) = crate::harness::external_get(&start.location()).await;
        let mut fields = crate::harness::hidden_fields(&page);
        fields.extend([("username".to_owned(), "two-legacy".to_owned()), ("password".to_owned(), "wrong".to_owned())]);
        crate::harness::external_post(start.location().split('?').next().unwrap(), &fields).await;
        let found = browser.post("/users", &[("username", "two-legacy"), ("reason", "ticket 17")]).await;
        assert!(
            found.body.contains("SecureAuth events, newest first") && found.body.contains("failed"),
            "{}",
            found.body
        );
        assert!(found.body.contains("so no events are available"), "the other biller is not kept there");
    }
}

#[tokio::test]
async fn audit_trail_is_filtered_and_exports_safe_csv() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut operator = harness.sign_in("operator").await;
        operator.post("/billers/riverside-water/pause", &[("pause", "yes")]).await;
        operator.post("/decisions", &[("code", "0000-0000-0000-0000"), ("reason", "=cmd()|x")]).await;
        let mut auditor = harness.sign_in("auditor").await;
        let all = auditor.get("/audit").await;
        assert!(all.body.contains("<td data-name=\"Action\" class=\"mono\">biller.paused</td>"), "{}", all.body);
        let held = auditor.get("/audit?action=biller.paused&biller=riverside-water&actor=operator").await;
        assert!(held.body.contains("biller.paused</td>") && !held.body.contains("code.looked_up</td>"));
        let wrong = auditor.get("/audit?since=tomorrow").await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let export = auditor.post("/audit/export", &[("action", "code.looked_up")]).await;
        assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
        let mut reader = csv::Reader::from_reader(export.body.as_bytes());
        let found: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].get(8), Some("'=cmd()|x"), "{:?}", found[0]);
        let exported = auditor.get("/audit?action=audit.exported").await;
        assert!(exported.body.contains("audit.exported</td>"), "that is kept as well");
    }
}

#[tokio::test]
async fn health_page_shows_billers_and_integrity_alarm() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut customer = harness.world.browser();
        harness.world.sign_in(&mut customer, "riverside-water", "one-moved").await;
        let mut browser = harness.sign_in("support").await;
        let health = browser.get("/health").await;
        assert!(
            health.body.contains("Usernames with more than one legacy biller: 1, for example t***y"),
            "{}",
            health.body
        );
        assert!(health.body.contains("data-name=\"Completed\"><span class=\"badge good\">1 of 1<"), "{}", health.body);
        assert!(health.body.contains("1 sign-ins in 30 days") && health.body.contains("<rect class=\"all\""));
        for name in ["Riverside Water", "Oakdale City", "Cedar County"] {
            assert!(health.body.contains(name), "{name}");
        }
    }
}

#[tokio::test]
async fn api_keys_are_created_shown_once_and_revoked() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let wrong =
            browser.post("/new-key", &[("name", ""), ("expires_at", "2020-01-01T00:00"), ("billers", "no-such")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        for field in ["name", "simulate", "expires_at", "billers"] {
            assert!(wrong.body.contains(&format!("href=\"#{field}\"")), "{field}: {}", wrong.body);
        }
        let fields = [("name", "reports"), ("billers:read", "on"), ("billers:write", "on"), ("keys:write", "on")];
        let made = browser.post("/new-key", &fields).await;
        let key = made.body.split("<code id=\"key\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let ask = async |key: &str| {
            let request = Request::get("/api/v1/billers").header("authorization", format!("Bearer {key}"));
            harness.world.browser().send(request).await.status
        };
        assert_eq!(ask(&key).await, StatusCode::OK);
        let kept = harness.world.state.api_keys.list().await.unwrap().pop().unwrap();
        assert_eq!(kept.scopes, [signpost::access::Scope::BillersRead], "nothing that confirms changes or makes keys");
        assert!(!browser.get("/keys").await.body.contains(&key), "shown once");
        let mut support = harness.sign_in("support").await;
        let end = format!("/keys/{}/revoke", kept.id);
        assert_eq!(support.post(&end, &[]).await.status, StatusCode::FORBIDDEN);
        assert_eq!(browser.post(&end, &[]).await.location(), "/keys?revoked");
        assert_eq!(ask(&key).await, StatusCode::UNAUTHORIZED);
        assert_eq!(browser.post("/keys/000000000000/revoke", &[]).await.status, StatusCode::NOT_FOUND);
    }
}
