//! Reloads: what applies at once, what is refused, what needs a restart, and what goes on undisturbed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use signpost::app::App;
use signpost::config::{Config, Problems, RESTART_ONLY};
use signpost::db::Schema;
use signpost::state::{ReloadReport, ReloadRequests};
use signpost_core::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::console::ConsoleHarness;
use crate::harness::{Browser, Process, World, external_get, forward};

/// A gateway on the database of a world, which reads its settings from `file`.
struct Running {
    public: SocketAddr,
    management: SocketAddr,
    console: Option<SocketAddr>,
    file: Arc<Mutex<String>>,
    reloads: ReloadRequests,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(world: &World) -> Self {
        let file = Arc::new(Mutex::new(world.settings.clone()));
        let read = |file: &Arc<Mutex<String>>| Config::from_text(&file.lock().unwrap(), []);
        let config = read(&file).unwrap();
        let app = App::build(config, Schema::RequireCurrent, world.clock.clone(), Random::system()).await.unwrap();
        let again = Arc::clone(&file);
        let app = app.reloading(move || read(&again)).with_internal_listeners().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (public, management) = (listener.local_addr().unwrap(), app.management_address().unwrap());
        let console = app.console_address();
        let (reloads, stop) = (app.state.reloads.clone(), CancellationToken::new());
        let serving = tokio::spawn(app.serve(listener, stop.clone()));
        Self { public, management, console, file, reloads, stop, serving }
    }

    fn browser(&self) -> Browser {
        Browser::new(forward(self.public))
    }

    fn append(&self, settings: &str) {
        self.file.lock().unwrap().push_str(settings);
    }

    fn replace(&self, from: &str, to: &str) {
        let mut file = self.file.lock().unwrap();
        assert!(file.contains(from), "{from} in {file}");
        *file = file.replace(from, to);
    }

    async fn reload(&self) -> ReloadReport {
        self.reloads.request().await.unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

fn applied(changed: &[&str], needs_restart: &[&str]) -> ReloadReport {
    let owned = |names: &[&str]| names.iter().copied().map(str::to_owned).collect();
    ReloadReport::Applied { changed: owned(changed), needs_restart: owned(needs_restart) }
}

async fn company(browser: &mut Browser) -> String {
    let page = browser.get("/help").await;
    assert_eq!(page.status, StatusCode::OK);
    ["Example Pay", "Second Pay", "Third Pay"].into_iter().find(|name| page.body.contains(name)).unwrap().to_owned()
}

#[tokio::test]
async fn requests_and_sessions_go_on_through_a_reload() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let running = Running::start(&world).await;
    let mut signed_in = running.browser();
    signed_in.cookies = browser.cookies.clone();
    assert_eq!(signed_in.get("/auth/verify?biller=riverside-water").await.status, StatusCode::OK);
    let mut half_way = running.browser();
    let authorize = half_way.get("/b/riverside-water").await.location();

    // Its handler runs and waits for the rest of the form.
    let form = "username=one-moved";
    let (first, rest) = form.split_at(9);
    let mut slow = TcpStream::connect(running.public).await.unwrap();
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: localhost:8080\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        form.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    slow.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(first.as_bytes()).await.unwrap();

    running.append("[help]\ncompany = \"Second Pay\"\n[sessions]\nidle_minutes = 45\n");
    assert_eq!(running.reload().await, applied(&["sessions", "help"], &[]));
    assert_eq!(company(&mut running.browser()).await, "Second Pay");

    slow.write_all(rest.as_bytes()).await.unwrap();
    let mut page = String::new();
    slow.read_to_string(&mut page).await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("Example Pay") && !page.contains("Second Pay"), "one request sees one configuration: {page}");

    assert_eq!(signed_in.get("/auth/verify?biller=riverside-water").await.status, StatusCode::OK);
    let callback = world.authenticate(&authorize, "one-moved").await;
    let done = half_way.get(&callback).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    running.stop().await;
}

#[tokio::test]
async fn invalid_settings_change_nothing() {
    let world = World::start().await;
    let running = Running::start(&world).await;
    running.append("[help]\ncompany = \"Second Pay\"\nphone = \"call us\"\n[sessions]\nidle_minutes = \"soon\"\n");
    let ReloadReport::Rejected { problems } = running.reload().await else { panic!("they are invalid") };
    for (key, value) in [("help.phone", "call us"), ("sessions.idle_minutes", "soon")] {
        assert!(problems.iter().any(|problem| problem.contains(key) && problem.contains(value)), "{key}: {problems:?}");
    }
    assert_eq!(company(&mut running.browser()).await, "Example Pay");
    let (_, metrics) = external_get(&format!("http://{}/metrics", running.management)).await;
    assert!(metrics.contains("signpost_config_reloads_total{outcome=\"failure\"} 1\n"), "{metrics}");

    running.replace("phone = \"call us\"\n", "");
    running.replace("\"soon\"", "45");
    world.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(running.reload().await, applied(&["sessions", "help"], &[]));
    let (_, metrics) = external_get(&format!("http://{}/metrics", running.management)).await;
    assert!(metrics.contains("signpost_config_reloads_total{outcome=\"success\"} 1\n"), "{metrics}");
    let loaded = world.clock.now().seconds();
    assert!(metrics.contains(&format!("signpost_config_loaded_timestamp_seconds {loaded}.0\n")), "{loaded}: {metrics}");
    running.stop().await;
}

#[tokio::test]
async fn settings_that_need_a_restart_are_named_and_kept() {
    let world = World::start().await;
    let running = Running::start(&world).await;
    running.replace("[server]\n", "[server]\nlisten = \"127.0.0.1:9\"\nmax_connections = 7\n");
    running.append("[log]\nformat = \"json\"\n[help]\ncompany = \"Second Pay\"\n");
    let needs_restart = ["server.listen", "server.max_connections", "log.format"];
    assert_eq!(running.reload().await, applied(&["help"], &needs_restart));
    assert_eq!(company(&mut running.browser()).await, "Second Pay", "the rest applies");
    assert_eq!(running.reload().await, applied(&[], &needs_restart), "they still differ");
    running.stop().await;
}

#[tokio::test]
async fn a_database_url_in_a_file_is_compared_by_its_content() {
    let mut world = World::start().await;
    let file = world.folder.path().join("database-url");
    let url = format!("sqlite:{}", world.folder.path().join("test.db").display());
    std::fs::write(&file, format!("{url}\n")).unwrap();
    let setting = format!("url = \"{url}\"");
    assert!(world.settings.contains(&setting), "{}", world.settings);
    world.settings = world.settings.replace(&setting, &format!("url = {{ file = {:?} }}", file.to_str().unwrap()));
    let running = Running::start(&world).await;
    assert_eq!(running.reload().await, applied(&[], &[]));
    std::fs::write(&file, "postgres://signpost:rotated@db.example/signpost").unwrap();
    assert_eq!(running.reload().await, applied(&[], &["database.url"]));
    running.stop().await;
}

#[test]
fn documentation_names_what_needs_a_restart() {
    let guide = include_str!("../../docs/setup/installation.md");
    let section = guide.split("## Reload").nth(1).unwrap().split("\n## ").next().unwrap();
    for name in RESTART_ONLY {
        assert!(section.contains(&format!("`{name}`")), "{name} is missing in {section}");
    }
}

#[tokio::test]
async fn a_new_key_ring_and_new_limits_apply() {
    let world = World::start().await;
    let running = Running::start(&world).await;
    let mut browser = running.browser();
    let link = browser.post("/login", &[("username", "one-moved")]).await.link("Continue to");
    let keys = "keys = [\"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\"]";
    let rotated = "keys = [\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\", \
                   \"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\"]";
    running.replace(keys, rotated);
    running.replace("exempt_loopback = true", "exempt_loopback = false\nlookups_per_address_per_minute = 2");
    assert_eq!(running.reload().await, applied(&["secrets", "limits"], &[]));
    assert_eq!(browser.get(&link).await.status, StatusCode::SEE_OTHER, "what the earlier key sealed opens");
    let keys = browser.get("/.well-known/jwks.json").await;
    let keys: Value = serde_json::from_str(&keys.body).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    let mut statuses = Vec::new();
    for name in ["first", "second", "third"] {
        statuses.push(browser.post("/login", &[("username", name)]).await.status);
    }
    assert_eq!(statuses[2], StatusCode::TOO_MANY_REQUESTS, "{statuses:?}");
    // Counters of limits that are the same go on.
    running.append("[help]\ncompany = \"Second Pay\"\n");
    assert_eq!(running.reload().await, applied(&["help"], &[]));
    let refused = browser.post("/login", &[("username", "fourth")]).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    running.stop().await;
}

#[tokio::test]
async fn legacy_login_kill_switch_proxies_and_mail_apply() {
    let world = World::start().await;
    let kill_switch = world.folder.path().join("kill-switch");
    std::fs::write(&kill_switch, "hold").unwrap();
    let running = Running::start(&world).await;
    let mut browser = running.browser();
    let legacy = browser.post("/login", &[("username", "one-legacy")]).await.location();
    assert!(legacy.starts_with("http://127.0.0.1:9992/login?"), "{legacy}");
    let request = || http::Request::get("/help").header("x-request-id", "proxy-7");
    assert_ne!(browser.send(request()).await.header("x-request-id"), "proxy-7");

    running.replace("http://127.0.0.1:9992/login", "http://127.0.0.1:9999/login");
    running.replace("[server]\n", "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    running.replace("no-reply@example-pay.example", "second@example-pay.example");
    assert_eq!(running.reload().await, applied(&["server", "legacy", "mail"], &[]));
    let legacy = browser.post("/login", &[("username", "one-legacy")]).await.location();
    assert!(legacy.starts_with("http://127.0.0.1:9999/login?"), "{legacy}");
    assert_eq!(browser.send(request()).await.header("x-request-id"), "proxy-7");
    browser.post("/recover/links", &[("username", "one-moved")]).await;
    world.mailbox.wait_for_mails(1).await;
    assert_eq!(world.mailbox.mails()[0].from, "second@example-pay.example", "the workers send under these settings");

    running.append(&format!("[routing]\nkill_switch_file = {:?}\n", kill_switch.to_str().unwrap()));
    assert_eq!(running.reload().await, applied(&["routing"], &[]));
    let held = browser.post("/login", &[("username", "one-legacy")]).await;
    assert_eq!(held.status, StatusCode::SERVICE_UNAVAILABLE, "{}", held.body);
    running.stop().await;
}

#[tokio::test]
async fn staff_go_on_through_a_reload() {
    let mut harness = ConsoleHarness::open().await;
    let cookies = harness.sign_in("operator").await.cookies;
    harness.world.settings = harness.world.settings.replace("127.0.0.1:8084", "127.0.0.1:0");
    let running = Running::start(&harness.world).await;
    let mut staff = Browser::new(forward(running.console.unwrap()));
    (staff.host, staff.cookies) = ("localhost:8084", cookies);
    let page = staff.get("/billers").await;
    assert!(page.status == StatusCode::OK && page.body.contains("Example Pay"), "{} {}", page.status, page.body);
    running.append("[help]\ncompany = \"Second Pay\"\n");
    running.replace(
        "listen = \"127.0.0.1:0\"\npublic_url = \"http://localhost:8084\"",
        "listen = \"127.0.0.1:9\"\n\
                     public_url = \"http://localhost:8084\"\nlookups_per_day = 7",
    );
    assert_eq!(running.reload().await, applied(&["help", "console"], &["console.listen"]));
    let page = staff.get("/billers").await;
    assert!(page.status == StatusCode::OK && page.body.contains("Second Pay"), "{} {}", page.status, page.body);

    // Without its section, the console stays as it is until a restart.
    let console = {
        let mut file = running.file.lock().unwrap();
        let (before, section) = file.split_once("[console]\n").unwrap();
        let (section, after) = section.split_once("[help]").unwrap();
        let (section, rest) = (section.to_owned(), format!("{before}[help]{after}"));
        *file = rest;
        section
    };
    assert!(console.contains("client_id"), "{console}");
    assert_eq!(running.reload().await, applied(&[], &["console.listen"]));
    assert_eq!(staff.get("/billers").await.status, StatusCode::OK);
    running.stop().await;
}

#[tokio::test]
async fn reloads_at_the_same_time_run_one_after_the_other() {
    let world = World::start().await;
    let app = world.another_instance().await.0;
    let reads = Arc::new(Mutex::new(Vec::new()));
    let (started, settings) = (Arc::clone(&reads), world.settings.clone());
    let app = app.reloading(move || -> Result<Config, Problems> {
        let number = {
            let mut reads = started.lock().unwrap();
            reads.push("begins");
            reads.len()
        };
        let config = Config::from_text(&format!("{settings}\n[sessions]\nidle_minutes = {number}\n"), []);
        started.lock().unwrap().push("ends");
        config
    });
    let (reloads, stop) = (app.state.reloads.clone(), CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = tokio::spawn(app.serve(listener, stop.clone()));
    let requests = (0..5).map(|_| {
        let reloads = reloads.clone();
        tokio::spawn(async move { reloads.request().await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), Some(applied(&["sessions"], &[])));
    }
    assert_eq!(*reads.lock().unwrap(), ["begins", "ends"].repeat(5));
    stop.cancel();
    serving.await.unwrap();
    assert_eq!(reloads.request().await, None, "a process that has stopped reloads nothing");
}

#[tokio::test]
async fn only_this_machine_can_request_a_reload() {
    let world = World::start().await;
    let mut listener = Browser::new(signpost::app::management_router(world.state.clone()));
    for (peer, status) in [("203.0.113.9:9", StatusCode::FORBIDDEN), ("127.0.0.1:9", StatusCode::SERVICE_UNAVAILABLE)] {
        let peer = signpost::web::client::Peer::Address(peer.parse().unwrap());
        let request = http::Request::post("/reload").extension(peer);
        assert_eq!(listener.send(request).await.status, status, "{peer:?}; this world serves nothing");
    }
    let peer = signpost::web::client::Peer::Address("127.0.0.1:9".parse().unwrap());
    let from_a_page = http::Request::post("/reload").header("sec-fetch-site", "cross-site").extension(peer);
    assert_eq!(listener.send(from_a_page).await.status, StatusCode::FORBIDDEN);
}

/// The settings file of a process, with one line replaced.
fn rewrite(world: &mut World, from: &str, to: &str) {
    assert!(world.settings.contains(from), "{from} in {}", world.settings);
    world.settings = world.settings.replace(from, to);
    world.settings_file();
}

#[tokio::test]
async fn sighup_reloads_a_process() {
    let mut world = World::with_system_clock().await;
    world.settings.push_str("[help]\ncompany = \"Example Pay\"\n[log]\nfilter = \"warn,signpost=info\"\n");
    let process = Process::serve(&world).await;
    assert_eq!(company(&mut process.browser()).await, "Example Pay");
    rewrite(&mut world, "company = \"Example Pay\"", "company = \"Second Pay\"");
    process.signal(Signal::HUP);
    let line = process.line("reloaded", |line| line["fields"]["message"] == "the settings were reloaded").await;
    assert_eq!(line["fields"]["changed"], "help");
    assert_eq!(company(&mut process.browser()).await, "Second Pay");

    rewrite(&mut world, "company = \"Second Pay\"", "company = \"Third Pay\"\nphone = \"call us\"");
    process.signal(Signal::HUP);
    let message = "the settings were not reloaded; the previous ones stay in effect";
    let line = process.line("rejected", |line| line["fields"]["message"] == message).await;
    let reason = line["fields"]["reason"].as_str().unwrap();
    assert!(reason.contains("help.phone") && reason.contains("call us"), "{reason}");
    assert_eq!(company(&mut process.browser()).await, "Second Pay");

    // The filter of the log is one of the settings.
    rewrite(&mut world, "phone = \"call us\"", "");
    rewrite(&mut world, "signpost=info", "signpost=error");
    process.signal(Signal::HUP);
    let third = async || (company(&mut process.browser()).await == "Third Pay").then_some(());
    crate::harness::wait_for(std::time::Duration::from_secs(20), "the reload", third).await;
    let before = process.count_lines("request");
    process.browser().get("/login").await;
    assert_eq!(process.count_lines("request"), before);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn the_reload_command_reports_and_fails_with_the_reload() {
    let mut world = World::with_system_clock().await;
    world.settings.push_str("[help]\ncompany = \"Example Pay\"\n");
    let process = Process::serve(&world).await;
    let management = process.management.to_string();
    let reload = ["reload", "--management", &management];
    rewrite(&mut world, "[server]\n", "[server]\nmax_connections = 7\n");
    rewrite(&mut world, "company = \"Example Pay\"", "company = \"Second Pay\"");
    let (code, out, error) = world.command(&reload).await;
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("Sections that changed: help"), "{out}");
    assert!(out.contains("Restart Signpost to apply: server.max_connections"), "{out}");
    let (code, out, error) = world.command(&["reload", "--json", "--management", &management]).await;
    assert_eq!(code, 0, "{error}");
    let expected = json!({ "status": "applied", "changed": [], "needs_restart": ["server.max_connections"] });
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);

    rewrite(&mut world, "company = \"Second Pay\"", "company = \"Third Pay\"\nphone = \"call us\"");
    let (code, _, error) = world.command(&reload).await;
    assert_eq!(code, 3);
    for part in ["the previous settings stay in effect", "help.phone", "call us"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert_eq!(company(&mut process.browser()).await, "Second Pay");
    assert_eq!(process.stop().await, Some(0));
    rewrite(&mut world, "phone = \"call us\"", "");
    let (code, _, error) = world.command(&reload).await;
    assert_eq!(code, 1);
    assert!(error.contains(&management) && error.contains("running?"), "{error}");
}
