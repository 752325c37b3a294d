//! The application under test: the real gateway on its own database, with a manual clock and stand-ins over real HTTP.
//!
//! [`World::start`] builds it from the demo world, with a few billers and users of the tests. [`World::browser`] returns a
//! browser with its own cookies, which calls the gateway's router directly. [`each_database`] runs a test on SQLite and, if
//! `SIGNPOST_TEST_POSTGRES` names a server, on PostgreSQL.

mod browser;
mod database_proxy;
mod databases;
mod network;
mod process;
mod world;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::StatusCode;
use secureauth_standin::world::{World as DemoWorld, service_secret};
use secureauth_standin::{Deps, Mailbox, SecureAuthStandIn};
use signpost::app::{App, router};
use signpost::audit::{Actor, ActorContext, LookupResult};
use signpost::config::Config;
use signpost::db::Schema;
use signpost::directory::{import_billers, import_users};
use signpost::secureauth::Http;
use signpost::secureauth::management::{self, Management, ManagementConfig};
use signpost::state::AppState;
use signpost_core::{Clock, Random, ReferenceCode, Slug, Timestamp};
use tempfile::TempDir;

pub(crate) use browser::{Browser, TestResponse};
pub(crate) use database_proxy::{DatabaseProxy, Outage};
pub(crate) use databases::{create_postgres_database, each_database};
pub(crate) use network::{external_get, external_post, forward, hidden_fields};
pub(crate) use process::Process;
pub(crate) use secureauth_standin::world::PASSWORD;
pub(crate) use world::MIGRATED;

pub(crate) const GATEWAY: &str = "http://localhost:8080";
pub(crate) const LEGACY: &str = "http://127.0.0.1:9992";
pub(crate) const PORTAL: &str = "http://127.0.0.1:9993";

#[derive(Clone)]
pub(crate) struct World {
    pub state: AppState,
    pub router: Router,
    pub clock: Clock,
    pub issuers: SecureAuthStandIn,
    pub issuer_base: String,
    pub mailbox: Mailbox,
    pub folder: Arc<TempDir>,
    /// The settings file (TOML).
    pub settings: String,
}

pub(crate) fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T08:00:00Z").unwrap()
}

/// A change by another process, and the loss of the database, apply within a second (Ruling 32), later on a busy machine.
pub(crate) const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(5);

/// Polls until `check` returns a value.
pub(crate) async fn wait_for<T, F>(timeout: Duration, what: &str, check: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let polling = async {
        loop {
            if let Some(value) = check().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(timeout, polling).await.unwrap_or_else(|_| panic!("timeout while waiting for {what}"))
}

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// Settings without SecureAuth and mail.
pub(crate) fn config(database: &str) -> Config {
    let mut settings = world::settings(&world::billers_and_users("http://127.0.0.1:9991", 9995), database);
    for section in ["secureauth", "mail"] {
        settings.as_object_mut().unwrap().remove(section);
    }
    Config::from_text(&secureauth_standin::world::to_toml(&settings), []).unwrap()
}

impl World {
    /// On SQLite.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::with_database(&database, folder, "").await
    }

    /// On SQLite with the system clock, for tests that start processes.
    pub(crate) async fn with_system_clock() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::build(Clock::System, &database, folder, "").await
    }

    /// On SQLite. `more` is appended to the settings.
    pub(crate) async fn with_settings(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::with_database(&database, folder, more).await
    }

    /// On SQLite, in this folder.
    pub(crate) async fn in_folder(folder: TempDir) -> Self {
        let database = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::with_database(&database, folder, "").await
    }

    /// On a new PostgreSQL database. None without a server.
    pub(crate) async fn on_postgres(more: &str) -> Option<Self> {
        let url = databases::create_postgres_database().await?;
        Some(Self::with_database(&url, tempfile::tempdir().unwrap(), more).await)
    }

    /// On a new PostgreSQL database behind a proxy that can be stopped. None without a server.
    pub(crate) async fn behind_proxy(more: &str) -> Option<(Self, DatabaseProxy)> {
        let (url, proxy) = DatabaseProxy::start(&databases::create_postgres_database().await?).await;
        Some((Self::with_database(&url, tempfile::tempdir().unwrap(), more).await, proxy))
    }

    async fn with_database(database: &str, folder: TempDir, more: &str) -> Self {
        Self::build(Clock::manual(now()), database, folder, more).await
    }

    async fn build(clock: Clock, database: &str, folder: TempDir, more: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let random = Random::system();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer_base = format!("http://{}", listener.local_addr().unwrap());
        let mail_server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let demo = world::billers_and_users(&issuer_base, mail_server.local_addr().unwrap().port());
        let deps = Deps::new(clock.clone(), random.clone()).unwrap();
        let issuers = secureauth_standin::secureauth_app(world::secureauth(&demo, &random), issuer_base.clone(), deps);
        tokio::spawn(secureauth_standin::serve(listener, issuers.router(), std::future::pending()));
        let mailbox = Mailbox::default();
        tokio::spawn(secureauth_standin::serve_mail(mail_server, mailbox.clone()));
        let settings = secureauth_standin::world::to_toml(&world::settings(&demo, database));
        let settings = format!("{settings}\n{more}\n");
        let config = Config::from_text(&settings, []).unwrap();
        let app = App::build(config, Schema::Migrate, clock.clone(), random).await.unwrap();
        let (state, folder) = (app.state, Arc::new(folder));
        let world =
            Self { router: router(state.clone()), state, clock, issuers, issuer_base, mailbox, folder, settings };
        world.seed(&demo).await;
        world
    }

    async fn seed(&self, demo: &DemoWorld) {
        let rows = import_billers::parse(&demo.billers_file(), true).unwrap();
        self.import_biller_rows(rows).await;
        for biller in &demo.billers {
            let users = demo.users_of(&biller.slug);
            let names: Vec<&str> = users.iter().map(|user| user.username.as_str()).collect();
            self.import_users(&biller.slug, &names).await;
        }
    }

    pub(crate) fn issuer(&self, biller: &str) -> String {
        format!("{}/{}/{biller}", self.issuer_base, secureauth_standin::world::TENANT)
    }

    pub(crate) async fn import_billers(&self, file: &str) {
        self.import_biller_rows(import_billers::parse(file, false).unwrap()).await;
    }

    async fn import_biller_rows(&self, rows: Vec<import_billers::BillerRow>) {
        let context = import_billers::ImportContext {
            keys: self.state.keys.clone(),
            actor: self.state.actor_context(Actor::System),
            addresses: signpost::config::AddressPolicy::loopback(true),
            own_hosts: vec!["localhost:8080".to_owned()],
        };
        self.state.directory.import_billers(rows, &context, false).await.unwrap();
    }

    /// An operator at the command line.
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
        self.import_bytes(biller, text.as_bytes(), false).await
    }

    pub(crate) async fn import_bytes(
        &self,
        biller: &str,
        bytes: &[u8],
        dry_run: bool,
    ) -> Result<import_users::Summary, import_users::ImportError> {
        let path = self.folder.path().join(format!("{}.csv", self.state.random.token::<8>()));
        std::fs::write(&path, bytes).unwrap();
        let biller = self.state.directory.biller_by_slug(&slug(biller)).await.unwrap().unwrap();
        let options = import_users::Options { legacy_accounts: true, dry_run, refuse_plain_passwords: false };
        let context = import_users::ImportContext { actor: &self.actor(), keys: &self.state.keys };
        self.state.directory.import_users(&path, &biller, options, context, &|_| {}).await
    }

    /// The decision record of a reference code.
    pub(crate) async fn decision(&self, code: &str) -> LookupResult {
        self.state.decisions.flush().await;
        let code = ReferenceCode::parse(code).unwrap();
        signpost::audit::find(&self.state.db, &code, &self.state.keys).await.unwrap()
    }

    /// A management API client beside the gateway's own.
    pub(crate) fn management(&self) -> Management {
        let http = Http::new(Duration::from_secs(5), &signpost::config::AddressPolicy::loopback(true)).unwrap();
        let client =
            |id: &str| management::ServiceClient { client_id: id.to_owned(), client_secret: service_secret(id).into() };
        let management_config = ManagementConfig {
            admin_base_url: None,
            base_url: self.issuer_base.parse().unwrap(),
            tenant: secureauth_standin::world::TENANT.to_owned(),
            path_mode: self.state.config.secureauth.paths,
            import_path: self.state.config.secureauth.import_path,
            system: client("signpost-system"),
            admin: client("signpost-admin"),
            timeout: Duration::from_secs(5),
        };
        let clocks = (self.clock.clone(), self.state.random.clone());
        Management::new(http, management_config, clocks, self.state.metrics.clone())
    }

    /// Writes the settings to a file.
    pub(crate) fn settings_file(&self) -> std::path::PathBuf {
        let file = self.folder.path().join("signpost.toml");
        std::fs::write(&file, &self.settings).unwrap();
        file
    }

    /// Runs the program on this world, which must be on SQLite. Returns exit code, standard output and standard error.
    pub(crate) async fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        let settings = self.settings_file();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_signpost"));
        command.arg("--config").arg(settings).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// Another instance on the same database, which has seen no request.
    pub(crate) async fn another_instance(&self) -> (App, Browser) {
        let config = (*self.state.config).clone();
        let app = App::build(config, Schema::RequireCurrent, self.clock.clone(), Random::system()).await.unwrap();
        let browser = Browser::new(router(app.state.clone()));
        (app, browser)
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.router.clone())
    }

    /// Signs in at the issuer's hosted page and returns the callback's address.
    pub(crate) async fn authenticate(&self, authorize: &str, username: &str) -> String {
        let (status, html) = external_get(authorize).await;
        assert_eq!(status, 200, "the hosted sign-in page");
        let mut fields = hidden_fields(&html);
        fields.push(("username".into(), username.into()));
        fields.push(("password".into(), PASSWORD.into()));
        let action = authorize.split('?').next().unwrap();
        external_post(action, &fields).await.unwrap()
    }

    /// A complete sign-in at a biller. Returns the target of the last redirect.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, biller: &str, username: &str) -> String {
        let start = browser.get(&format!("/b/{biller}")).await;
        let callback = self.authenticate(&start.location(), username).await;
        let done = browser.get(&callback).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
        done.location()
    }

    /// Runs all tasks of the outbound queue.
    /// Waits until the gateway has noticed that the database accepts writes again.
    pub(crate) async fn wait_for_writes(&self) {
        let accepts_writes = async || self.state.db.write_refusal().is_none().then_some(());
        wait_for(Duration::from_secs(10), "the database accepts writes", accepts_writes).await;
    }

    pub(crate) async fn run_queued_tasks(&self) {
        while self.state.mail.run_next_task().await.unwrap() {}
    }

    pub(crate) async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}
