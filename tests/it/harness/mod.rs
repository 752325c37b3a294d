//! The real application on a database of its own, a clock that is moved by hand, and the outside world over real HTTP.
//!
//! `World::start` builds it; `World::browser` is a browser with cookies of its own that talks to the gateway's router
//! directly; requests to the stand-ins go through the network. `each_database` runs a test on SQLite and, where
//! `SIGNPOST_TEST_POSTGRES` names a server, on PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use secureauth_standin::{
    ApiClients, Deps, IdpUser, IssuerState, Mailbox, Organization, SecureAuth, SecureAuthStandIn,
};
use signpost::app::{App, router};
use signpost::audit::{Actor, ActorContext, LookupResult};
use signpost::config::Config;
use signpost::db::{Db, Schema, Sql};
use signpost::directory::{import_billers, import_users};
use signpost::secureauth::Http;
use signpost::secureauth::management::{self, Management, ManagementConfig};
use signpost::sql;
use signpost::state::AppState;
use signpost_core::{Clock, Random, ReferenceCode, Slug, Timestamp};
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "correct-horse";
pub(crate) const GATEWAY: &str = "http://localhost:8080";
pub(crate) const LEGACY: &str = "http://127.0.0.1:9992";
pub(crate) const PORTAL: &str = "http://127.0.0.1:9993";

/// The usual billers: `riverside-water`, `maple-electric` (moved), `oakdale-city`, `pinehill-gas` (legacy),
/// `summit-telecom` (suspended), `clinic` (moved, private), `cedar-county` (moved, issuer down).
pub(crate) const MIGRATED: [&str; 4] = ["riverside-water", "maple-electric", "clinic", "cedar-county"];

#[derive(Clone)]
pub(crate) struct World {
    pub state: AppState,
    pub router: Router,
    pub clock: Clock,
    pub issuers: SecureAuthStandIn,
    pub issuer_base: String,
    pub mailbox: Mailbox,
    pub folder: Arc<TempDir>,
    /// The settings as a file would have them.
    pub settings: String,
}

pub(crate) fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T08:00:00Z").unwrap()
}

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// Settings as the tests use them; `more` is added to the text.
pub(crate) fn config(database: &str, more: &str) -> Config {
    Config::from_text(&settings(database, more), []).unwrap()
}

/// The text of these settings, for a process of its own.
pub(crate) fn settings(database: &str, more: &str) -> String {
    let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
    format!(
        r#"
        [server]
        public_url = "{GATEWAY}"
        [database]
        url = "{database}"
        connections = 4
        [secrets]
        keys = ["{key}"]
        [legacy]
        login_url = "{LEGACY}/login"
        reset_url = "{LEGACY}/reset"
        [portal]
        handoff_url = "{PORTAL}/handoff"
        [return_to]
        paths = ["/bills"]
        ids = {{ pay = "/bills/pay" }}
        [[legacy_paths]]
        path = "/old/login.aspx"
        query = "biller=1"
        biller = "riverside-water"
        return_to = "pay"
        [[legacy_paths]]
        path = "/old/login.aspx"
        query = "biller=2"
        biller = "oakdale-city"
        [[legacy_paths]]
        path = "/old/login.aspx"
        [limits]
        exempt_loopback = true
        [oidc]
        allow_loopback_issuers = true
        {more}
        "#
    )
}

impl World {
    /// On SQLite.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::with_database(&database, folder, "").await
    }

    /// On SQLite, by the machine's clock: for processes of their own beside it.
    pub(crate) async fn with_system_clock() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::build(Clock::System, &database, folder, "").await
    }

    /// On SQLite, with more settings.
    pub(crate) async fn with_settings(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::with_database(&database, folder, more).await
    }

    /// On a PostgreSQL database of its own, with more settings; none where no server is named.
    pub(crate) async fn on_postgres(more: &str) -> Option<Self> {
        let server = postgres()?;
        let name = format!("signpost_test_{}", Random::system().token::<9>().to_lowercase().replace('-', "_"));
        let admin = sqlx::PgPool::connect(&server).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE \"{name}\""));
        sqlx::query(create).execute(&admin).await.unwrap();
        let mut url = url::Url::parse(&server).unwrap();
        url.set_path(&name);
        Some(Self::with_database(url.as_str(), tempfile::tempdir().unwrap(), more).await)
    }

    async fn with_database(database: &str, folder: TempDir, more: &str) -> Self {
        Self::build(Clock::manual(now()), database, folder, more).await
    }

    async fn build(clock: Clock, database: &str, folder: TempDir, more: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let random = Random::system();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer_base = format!("http://{}", listener.local_addr().unwrap());
        let deps = Deps::new(clock.clone(), random.clone()).unwrap();
        let issuers = secureauth_standin::secureauth_app(secureauth(&random), issuer_base.clone(), deps);
        tokio::spawn(secureauth_standin::serve(listener, issuers.router(), std::future::pending()));
        let management = format!(
            "[secureauth]\nbase_url = {issuer_base:?}\ntenant = \"test\"\nsystem_client_id = \"system\"\n\
             system_client_secret = \"secret of system\"\nadmin_client_id = \"admin\"\n\
             admin_client_secret = \"secret of admin\"\nlease_seconds = 2\ntimeout_seconds = 1\n"
        );
        let (mailbox, mail_server) = (Mailbox::default(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
        let mail = format!(
            "[mail]\nserver = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"Example Pay <no-reply@pay.example>\"\n",
            mail_server.local_addr().unwrap().port()
        );
        tokio::spawn(secureauth_standin::serve_mail(mail_server, mailbox.clone()));
        let settings = settings(database, &format!("{more}\n{management}{mail}"));
        let config = Config::from_text(&settings, []).unwrap();
        let app = App::build(config, Schema::Migrate, clock.clone(), random).await.unwrap();
        let (state, folder) = (app.state, Arc::new(folder));
        let world =
            Self { router: router(state.clone()), state, clock, issuers, issuer_base, mailbox, folder, settings };
        world.seed().await;
        world
    }

    async fn seed(&self) {
        let mut file = String::new();
        for (name, state, more) in [
            (
                "riverside-water",
                "active",
                "hosts = [\"pay.riverside.example\"]\nsupport = { phone = \"+1 555 010 0101\" }",
            ),
            ("maple-electric", "active", "passwords = \"reset_required\""),
            ("clinic", "active", "private = true"),
            ("cedar-county", "active", ""),
            ("oakdale-city", "legacy", "hosts = [\"pay.oakdale.example\"]"),
            ("pinehill-gas", "legacy", ""),
            ("summit-telecom", "suspended", ""),
        ] {
            file.push_str(&format!(
                "[[billers]]\nslug = \"{name}\"\nname = \"Name of {name}\"\nstate = \"{state}\"\n{more}\n"
            ));
            if state != "legacy" {
                file.push_str(&format!(
                    "[billers.oidc]\nissuer = \"{}\"\nclient_id = \"client-{name}\"\nclient_secret = \"secret of {name}\"\n",
                    self.issuer(name)
                ));
            }
        }
        self.import_billers(&file).await;
        for (biller, users) in MEMBERS {
            self.import_users(biller, users).await;
        }
    }

    pub(crate) fn issuer(&self, biller: &str) -> String {
        format!("{}/test/{biller}", self.issuer_base)
    }

    pub(crate) async fn import_billers(&self, file: &str) {
        let tools = import_billers::ImportContext {
            keys: self.state.keys.clone(),
            actor: self.state.actor_context(Actor::System),
            allow_loopback_issuers: true,
            public_host: "localhost:8080".to_owned(),
        };
        let rows = import_billers::parse(file, false).unwrap();
        self.state.directory.import_billers(rows, &tools, false).await.unwrap();
    }

    /// Somebody at the command line.
    pub(crate) fn actor(&self) -> ActorContext {
        self.state.actor_context(Actor::Cli { user: "tester".to_owned() })
    }

    pub(crate) async fn import_users(&self, biller: &str, users: &[&str]) {
        let rows: Vec<String> = users.iter().map(|user| format!("{user},{user}@mail.example,active")).collect();
        self.import_csv(biller, &format!("username,email,status\n{}\n", rows.join("\n"))).await.unwrap();
    }

    pub(crate) async fn import_csv(
        &self,
        biller: &str,
        text: &str,
    ) -> Result<import_users::Summary, import_users::ImportError> {
        let path = self.folder.path().join(format!("{}.csv", self.state.random.token::<8>()));
        std::fs::write(&path, text).unwrap();
        let biller = self.state.directory.biller_by_slug(&slug(biller)).await.unwrap().unwrap();
        let options = import_users::Options { legacy_accounts: true, dry_run: false, refuse_plain_passwords: false };
        let tools = import_users::ImportContext { actor: &self.actor(), keys: &self.state.keys };
        self.state.directory.import_users(&path, &biller, options, tools, &|_| {}).await
    }

    /// What the decision log has under a code.
    pub(crate) async fn decision(&self, code: &str) -> LookupResult {
        self.state.decisions.flush().await;
        let code = ReferenceCode::parse(code).unwrap();
        signpost::audit::find(&self.state.db, &code, &self.state.keys).await.unwrap()
    }

    /// Every row of every table, as text.
    pub(crate) async fn dump_tables(&self) -> BTreeMap<String, Vec<String>> {
        let db = &self.state.db;
        let statement = |text: String| Sql::new_unchecked(Box::leak(text.into_boxed_str()));
        let texts = async |sql: Sql| -> Vec<String> {
            db.all(sql, Vec::new()).await.unwrap().iter().map(|row| row.text("value").unwrap()).collect()
        };
        let is_sqlite = matches!(db, Db::Sqlite { .. });
        let tables = if is_sqlite {
            texts(sql!("SELECT name AS value FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"))
                .await
        } else {
            texts(sql!("SELECT tablename::text AS value FROM pg_tables WHERE schemaname = 'public'")).await
        };
        let mut rows = BTreeMap::new();
        for table in tables {
            let all = if is_sqlite {
                let columns = texts(statement(format!("SELECT name AS value FROM pragma_table_info('{table}')"))).await;
                let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
                format!("SELECT {} AS value FROM {table} ORDER BY 1", quoted.join(" || ',' || "))
            } else {
                format!("SELECT t::text AS value FROM {table} t ORDER BY 1")
            };
            let all = texts(statement(all)).await;
            rows.insert(table, all);
        }
        rows
    }

    /// As long as this is held, the names of users cannot be read. On PostgreSQL only: SQLite's readers wait for nobody.
    pub(crate) async fn lock_users(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let signpost::db::Db::Postgres(pool) = &self.state.db else { panic!("on PostgreSQL only") };
        let own = sqlx::PgPool::connect_with((*pool.connect_options()).clone()).await.unwrap();
        let mut held = own.begin().await.unwrap();
        sqlx::query("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
        held
    }

    /// Another hand at the management API than the gateway's.
    pub(crate) fn management(&self) -> Management {
        let http = Http::new(Duration::from_secs(5), true).unwrap();
        let client = |id: &str| management::ServiceClient {
            client_id: id.to_owned(),
            client_secret: format!("secret of {id}").into(),
        };
        let management_config = ManagementConfig {
            admin_base_url: None,
            base_url: self.issuer_base.parse().unwrap(),
            tenant: "test".to_owned(),
            path_mode: self.state.config.secureauth.paths,
            import_path: self.state.config.secureauth.import_path,
            system: client("system"),
            admin: client("admin"),
            timeout: Duration::from_secs(5),
        };
        Management::new(http, management_config, self.clock.clone(), self.state.random.clone())
    }

    /// A file with the settings of this world.
    pub(crate) fn settings_file(&self) -> std::path::PathBuf {
        let file = self.folder.path().join("signpost.toml");
        std::fs::write(&file, &self.settings).unwrap();
        file
    }

    /// Runs the program with settings for this world, which must be on SQLite: its exit code, and what it writes to standard
    /// output and standard error.
    pub(crate) async fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        let settings = self.settings_file();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_signpost"));
        command.arg("--config").arg(settings).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.router.clone())
    }

    /// Types the right password at the issuer's hosted page and answers the callback's address.
    pub(crate) async fn authenticate(&self, authorize: &str, username: &str) -> String {
        let (status, html) = external_get(authorize).await;
        assert_eq!(status, 200, "the hosted sign-in page");
        let mut fields = hidden_fields(&html);
        fields.push(("username".into(), username.into()));
        fields.push(("password".into(), PASSWORD.into()));
        let action = authorize.split('?').next().unwrap();
        external_post(action, &fields).await.unwrap()
    }

    /// A whole sign-in at a biller; answers the address the gateway sends the browser to at its end.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, biller: &str, username: &str) -> String {
        let start = browser.get(&format!("/b/{biller}")).await;
        let callback = self.authenticate(&start.location(), username).await;
        let done = browser.get(&callback).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
        done.location()
    }

    /// Does what waits to be done after answers.
    pub(crate) async fn run_queued_tasks(&self) {
        while self.state.mail.run_next_task().await.unwrap() {}
    }

    pub(crate) async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

const MEMBERS: [(&str, &[&str]); 7] = [
    ("riverside-water", &["one-moved", "moved-and-legacy", "two-moved"]),
    ("maple-electric", &["two-moved", "Maple.User"]),
    ("clinic", &["patient"]),
    ("cedar-county", &["issuer-down"]),
    ("oakdale-city", &["one-legacy", "moved-and-legacy", "two-legacy"]),
    ("pinehill-gas", &["two-legacy"]),
    ("summit-telecom", &["switched-off"]),
];

fn secureauth(random: &Random) -> SecureAuth {
    let organizations = MIGRATED
        .iter()
        .map(|biller| Organization {
            id: (*biller).to_owned(),
            name: format!("Name of {biller}"),
            state: if *biller == "cedar-county" { IssuerState::Down } else { IssuerState::Up },
            client_id: format!("client-{biller}"),
            client_secret: format!("secret of {biller}"),
            redirect_uris: vec![format!("{GATEWAY}/callback/{biller}")],
            post_logout_redirect_uris: vec![format!("{GATEWAY}/signed-out")],
            // The issuer knows people whom the directory does not.
            users: ["one-moved", "moved-and-legacy", "two-moved", "Maple.User", "patient", "stranger"]
                .iter()
                .map(|name| IdpUser {
                    username: (*name).to_owned(),
                    name: format!("Name of {name}"),
                    email: format!("{name}@mail.example"),
                })
                .collect(),
        })
        .collect();
    SecureAuth {
        tenant: "test".to_owned(),
        password_hash: secureauth_standin::hash_password(PASSWORD, random),
        organizations,
        api: Some(ApiClients { system: service_client("system"), admin: service_client("admin") }),
    }
}

fn service_client(id: &str) -> Option<secureauth_standin::ServiceClient> {
    Some(secureauth_standin::ServiceClient { id: id.to_owned(), secret: format!("secret of {id}") })
}

/// A browser: cookies, and no redirects followed, so that each step can be looked at.
#[derive(Clone)]
pub(crate) struct Browser {
    router: Router,
    /// The host it asks for.
    pub host: &'static str,
    /// What `Accept-Language` says.
    pub accept_language: &'static str,
    pub cookies: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl TestResponse {
    pub(crate) fn location(&self) -> String {
        let location = self.headers.get(header::LOCATION);
        let location = location.unwrap_or_else(|| panic!("no Location: {} {}", self.status, self.body));
        location.to_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn title(&self) -> &str {
        self.body.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next()).unwrap_or_default()
    }

    /// The reference code on the page.
    pub(crate) fn reference(&self) -> String {
        let code = self.body.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next());
        code.unwrap_or_else(|| panic!("no reference code: {}", self.body)).to_owned()
    }

    /// The address of the link with this text.
    pub(crate) fn link(&self, text: &str) -> String {
        let before = self.body.split(text).next().unwrap();
        let href = before.rsplit("href=\"").next().unwrap().split('"').next().unwrap();
        href.replace("&amp;", "&").replace("&#38;", "&")
    }
}

impl Browser {
    pub(crate) fn new(router: Router) -> Self {
        Self { router, host: "localhost:8080", accept_language: "", cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, address: &str) -> TestResponse {
        self.send(Request::get(path_and_query(address))).await
    }

    pub(crate) async fn post(&mut self, address: &str, fields: &[(&str, &str)]) -> TestResponse {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.post_raw(address, body.into_bytes()).await
    }

    pub(crate) async fn post_raw(&mut self, address: &str, body: Vec<u8>) -> TestResponse {
        let request = Request::post(path_and_query(address))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send_with(request, Body::from(body)).await
    }

    pub(crate) async fn send(&mut self, request: http::request::Builder) -> TestResponse {
        self.send_with(request, Body::empty()).await
    }

    pub(crate) async fn send_with(&mut self, request: http::request::Builder, body: Body) -> TestResponse {
        let response = self.send_streaming(request, body).await;
        let (parts, body) = response.into_parts();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            self.store_cookie(line.to_str().unwrap());
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        TestResponse {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Asks, and answers as soon as the answer begins: for what goes on. Cookies are not kept.
    pub(crate) async fn send_streaming(&self, mut request: http::request::Builder, body: Body) -> http::Response<Body> {
        if request.headers_ref().is_some_and(|headers| !headers.contains_key(header::HOST)) {
            request = request.header(header::HOST, self.host);
        }
        if !self.accept_language.is_empty() {
            request = request.header(header::ACCEPT_LANGUAGE, self.accept_language);
        }
        if !self.cookies.is_empty() {
            let line: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, line.join("; "));
        }
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    fn store_cookie(&mut self, line: &str) {
        let mut parts = line.split("; ");
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap();
        if value.is_empty() || parts.any(|part| part == "Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Path and query of an address; the gateway is called without the network.
fn path_and_query(address: &str) -> String {
    address.strip_prefix(GATEWAY).unwrap_or(address).to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a client of the outside world")]
fn external_client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

pub(crate) async fn external_get(address: &str) -> (u16, String) {
    let response = external_client().get(address).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Posts a form; answers where the answer leads, if it is a redirect.
pub(crate) async fn external_post(address: &str, fields: &[(String, String)]) -> Option<String> {
    let response = external_client().post(address).form(fields).send().await.unwrap();
    response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned())
}

pub(crate) fn hidden_fields(html: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let value = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
        Some(
            value
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
        )
    };
    html.split("<input")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
        .filter(|tag| tag.contains("\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect()
}

/// Runs a test on SQLite and, where a server is named, on PostgreSQL.
pub(crate) async fn each_database<F, Fut>(test: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    let world = World::start().await;
    // A test may use parts of its world only; the folder with the database has to outlive them all.
    let folder = Arc::clone(&world.folder);
    test(world).await;
    drop(folder);
    if let Some(world) = World::on_postgres("").await {
        test(world).await;
    }
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set: tests on each database use SQLite only")]
fn tests_on_each_database_use_postgresql() {
    assert!(postgres().is_some());
}

#[expect(clippy::disallowed_methods, reason = "tests take their server from the environment")]
fn postgres() -> Option<String> {
    let server = std::env::var("SIGNPOST_TEST_POSTGRES").ok();
    assert!(server.is_some() || std::env::var("CI").is_err(), "CI tests on PostgreSQL as well");
    server
}
