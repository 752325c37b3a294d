//! The composition root: one way to build the application, for `serve`, `demo` and every test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::access::{ApiKeys, IdempotencyKey, KnownNetworks, RateLimits};
use crate::audit::{self, DecisionLog};
use crate::config::Config;
use crate::db::{Db, DbError, Schema};
use crate::directory::Directory;
use crate::handoffs::ConsumedTokens;
use crate::mail::{self, Mail};
use crate::provisioning::{self, Provisioning};
use crate::routing::Routing;
use crate::secureauth::management::{Management, ManagementConfig, ServiceClient};
use crate::secureauth::{Http, Providers};
use crate::sessions::{BillerSessions, SessionKind, Sessions};
use crate::state::{AppState, IntegrityCache, Services};
use crate::telemetry::metrics::Listener;
use crate::telemetry::{Condition, Metrics};
use crate::web::{admission, headers, language, layers, registrations, serve, session_cookie};
use crate::{api, console, login, monitoring};
use signpost_core::routes::{self, ErrorFormat};
use signpost_core::{Clock, KeyRing, Random};

/// Enough for a list of about 200,000 users.
const MAX_IDENTITY_BODY: usize = 8 * 1024 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// For requests that read the whole directory, which may hold several million users.
const SLOW_REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
const MAX_MANAGEMENT_CONNECTIONS: usize = 100;
const MANAGEMENT_DRAIN: Duration = Duration::from_secs(1);
const KEY_RELOAD_INTERVAL: Duration = Duration::from_millis(500);
/// Longer than most sign-ins take.
const RETURN_REPORT_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// A key that was revoked this long before an outage of the database may redeem legacy handoffs during it.
const OUTAGE_DATA_INTERVAL: Duration = Duration::from_secs(10);
const SWEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);
const SECONDS_PER_DAY: u64 = 24 * 3600;
const IDEMPOTENCY_RETENTION: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the database {url} cannot be used")]
    Db {
        /// Without its password.
        url: String,
        #[source]
        error: DbError,
    },
    #[error("{0}")]
    Secret(String),
    #[error("{0}")]
    Setting(String),
    #[error("the HTTP client could not be set up: {0}")]
    Http(String),
}

pub struct App {
    pub state: AppState,
    /// The console's listener, if the configuration has one.
    console: Option<TcpListener>,
    management: Option<TcpListener>,
}

/// An address of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting})")]
pub struct ListenError {
    setting: &'static str,
    address: SocketAddr,
    #[source]
    error: std::io::Error,
}

impl App {
    /// Opens the database and creates the services.
    pub async fn build(config: Config, schema: Schema, clock: Clock, random: Random) -> Result<Self, BuildError> {
        let url = config.database.url.reveal().map_err(BuildError::Secret)?;
        let url = url.expose_secret();
        let db = Db::open(url, config.database.connections, schema)
            .await
            .map_err(|error| BuildError::Db { url: redact_password(url), error })?;
        let keys = key_ring(&config, &random)?;
        let timeout = Duration::from_secs(config.oidc.timeout_seconds);
        let http =
            Http::new(timeout, &config.oidc.address_policy()).map_err(|error| BuildError::Http(error.to_string()))?;
        let directory = Directory::new(db.clone());
        let metrics = Arc::new(Metrics::new(db.waits()));
        let (decisions, log_writer) =
            DecisionLog::new(db.clone(), &keys, clock.clone(), random.clone(), Arc::clone(&metrics));
        let management = management(&config, &http, &clock, &random)?;
        let providers = Providers::new(http, clock.clone(), random.clone(), Arc::clone(&metrics));
        let provisioning_deps = provisioning::Deps {
            db: db.clone(),
            directory: directory.clone(),
            management,
            providers: providers.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
            random: random.clone(),
        };
        let config = Arc::new(config);
        let provisioning = Provisioning::new(provisioning_deps, &config);
        let routing = Routing::new(directory.clone(), Arc::clone(&config), clock.clone());
        let limits = Arc::new(RateLimits::new(&config.limits, &config.mail));
        let mail_deps = mail::Deps {
            db: db.clone(),
            keys: keys.clone(),
            random: random.clone(),
            clock: clock.clone(),
            directory: directory.clone(),
            routing: routing.clone(),
            provisioning: provisioning.clone(),
            limits: limits.clone(),
            config: config.clone(),
        };
        let services = Services {
            mail: Mail::new(mail_deps).map_err(BuildError::Setting)?,
            provisioning,
            routing,
            providers,
            api_keys: ApiKeys::new(db.clone(), clock.clone(), random.clone()),
            returns: Arc::default(),
            calls: Arc::default(),
            reachability: Arc::default(),
            turns: Arc::new(Semaphore::new(config.server.max_requests)),
            metrics,
            integrity_cache: IntegrityCache::default(),
            biller_sessions: BillerSessions::new(db.clone(), clock.clone(), random.clone(), &config.sessions),
            consumed_tokens: ConsumedTokens::new(db.clone(), clock.clone()),
            limits,
            known_networks: Arc::new(KnownNetworks::new(db.clone(), clock.clone(), &keys)),
            config,
            clock,
            random,
            keys,
            db,
            directory,
            decisions,
            stopping: CancellationToken::new(),
            shutdown: CancellationToken::new(),
        };
        tokio::spawn(log_writer.run());
        Ok(Self { state: services.into(), console: None, management: None })
    }

    /// Also binds the addresses that customers do not use: of the management listener, and of the console if the configuration
    /// has one.
    pub async fn with_internal_listeners(mut self) -> Result<Self, ListenError> {
        let management = self.state.config.server.management_listen;
        self.management = Some(bind("server.management_listen", management).await?);
        if let Some(address) = self.state.config.console.listen {
            self.console = Some(bind("console.listen", address).await?);
        }
        Ok(self)
    }

    /// The address of the management listener, once it is bound.
    pub fn management_address(&self) -> Option<SocketAddr> {
        self.management.as_ref()?.local_addr().ok()
    }

    /// Serves until `stop`, then shuts down gracefully: `/readyz` answers 503 first, then the listeners close, and the management
    /// listener is the last one.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let state = self.state;
        let stop = after_notice(&state, stop);
        let management = self.management.map(|listener| ManagementServer::start(listener, &state));
        let background = TaskTracker::new();
        background.spawn(run_until(stop.clone(), sweep(state.clone())));
        background.spawn(run_until(stop.clone(), probe_issuers(state.clone())));
        background.spawn(run_until(stop.clone(), reload_keys(state.clone())));
        background.spawn(run_until(stop.clone(), prepare_for_outages(state.clone())));
        let (provisioning, stopped) = (state.provisioning.clone(), stop.clone());
        background.spawn(async move { provisioning.run_job_worker(stopped).await });
        let (stopped, shutdown) = (stop.clone(), state.shutdown.clone());
        background.spawn(async move {
            stopped.cancelled().await;
            shutdown.cancel();
        });
        let (provisioning, stopped) = (state.provisioning.clone(), stop.clone());
        background.spawn(async move { provisioning.run_outbox_worker(stopped).await });
        background.spawn(run_until(stop.clone(), report_returns(state.clone())));
        let (mail, stopped) = (state.mail.clone(), stop.clone());
        background.spawn(async move { mail.run_workers(stopped).await });
        let server = &state.config.server;
        let (max_connections, drain) = (server.max_connections, Duration::from_secs(server.drain_seconds));
        if let (Some(listener), Some(router)) = (self.console, console_router(&state)) {
            background.spawn(serve::serve(listener, router, max_connections, drain, stop.clone()));
        }
        background.close();
        serve::serve(listener, router(state.clone()), max_connections, drain, stop).await;
        if tokio::time::timeout(drain, background.wait()).await.is_err() {
            tracing::warn!("the shutdown timeout has passed; unfinished work resumes after the next start");
        }
        state.decisions.flush().await;
        if let Some(management) = management {
            management.stop().await;
        }
        state.db.close().await;
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|error| ListenError { setting, address, error })
}

/// Turns readiness off at `stop`. Returns a token that is cancelled after the delay of the settings.
fn after_notice(state: &AppState, stop: CancellationToken) -> CancellationToken {
    let (state, closing) = (state.clone(), CancellationToken::new());
    let later = closing.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        state.stopping.cancel();
        let seconds = state.config.server.shutdown_delay_seconds;
        tracing::info!(
            seconds,
            "the shutdown begins: /readyz answers 503, and connections are refused after the delay"
        );
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        later.cancel();
    });
    closing
}

/// The management listener while it serves.
struct ManagementServer {
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl ManagementServer {
    fn start(listener: TcpListener, state: &AppState) -> Self {
        let stop = CancellationToken::new();
        let router = management_router(state.clone());
        let serving = serve::serve(listener, router, MAX_MANAGEMENT_CONNECTIONS, MANAGEMENT_DRAIN, stop.clone());
        Self { stop, serving: tokio::spawn(serving) }
    }

    async fn stop(self) {
        self.stop.cancel();
        drop(self.serving.await);
    }
}

/// The client of SecureAuth's management API, if the configuration has one.
fn management(config: &Config, http: &Http, clock: &Clock, random: &Random) -> Result<Option<Management>, BuildError> {
    let settings = &config.secureauth;
    let Some(base) = &settings.base_url else { return Ok(None) };
    let client = |id: &str, secret: &Option<crate::config::Secret>| {
        let secret = secret.as_ref().ok_or_else(|| BuildError::Secret("a secret of [secureauth] is missing".into()))?;
        let client_secret = secret.reveal().map_err(BuildError::Secret)?;
        Ok::<_, BuildError>(ServiceClient { client_id: id.to_owned(), client_secret })
    };
    let management_config = ManagementConfig {
        base_url: base.clone(),
        admin_base_url: settings.admin_base_url.clone(),
        tenant: settings.tenant.clone(),
        path_mode: settings.paths,
        import_path: settings.import_path,
        system: client(&settings.system_client_id, &settings.system_client_secret)?,
        admin: client(&settings.admin_client_id, &settings.admin_client_secret)?,
        timeout: Duration::from_secs(settings.timeout_seconds),
    };
    Ok(Some(Management::new(http.clone(), management_config, clock.clone(), random.clone())))
}

fn redact_password(database: &str) -> String {
    let redacted = url::Url::parse(database).ok().and_then(|mut url| url.set_password(None).is_ok().then_some(url));
    redacted.map_or_else(|| database.split('@').next_back().unwrap_or_default().to_owned(), String::from)
}

pub fn key_ring(config: &Config, random: &Random) -> Result<KeyRing, BuildError> {
    config.secrets.key_ring(random).map_err(|problem| BuildError::Secret(format!("secrets.keys: {problem}")))
}

/// Every route of the public listener, with its layers.
pub fn router(state: AppState) -> Router {
    let within = |limit| TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limit);
    let slow =
        api::slow_router().layer((within(SLOW_REQUEST_TIMEOUT), RequestBodyLimitLayer::new(admission::MAX_BODY)));
    let customers = login::router().layer((
        middleware::from_fn(session_cookie::require_single),
        CsrfLayer::new(),
        middleware::from_fn(language::remember),
    ));
    let identity =
        api::identity::router().layer((within(REQUEST_TIMEOUT), RequestBodyLimitLayer::new(MAX_IDENTITY_BODY)));
    customers
        .merge(login::cross_site_router())
        .merge(api::router())
        .layer((within(REQUEST_TIMEOUT), middleware::from_fn_with_state(state.clone(), admission::admit)))
        .merge(identity)
        .merge(slow)
        // The outermost layer first. Each call of `layer` would cost a copy of all inner ones with every request.
        .layer((
            middleware::from_fn_with_state(state.clone(), frame),
            CatchPanicLayer::new(),
            middleware::from_fn_with_state(state.clone(), layers::host),
        ))
        .with_state(state)
}

/// Every route of the management listener. Probes write no log lines, and any `Host` is answered.
pub fn management_router(state: AppState) -> Router {
    monitoring::router(&state).layer((
        middleware::from_fn_with_state(state, management_frame),
        CatchPanicLayer::new(),
        TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT),
        middleware::from_fn(layers::local_path),
    ))
}

/// Around every request of the public listener: headers, request log, language and errors.
async fn frame(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let rendered =
        async |request| language::detect(request, async |request| render_errors(&state, request, next).await).await;
    let logged = async |request| layers::log(&state, Listener::Public, request, rendered).await;
    headers::set(&state.config, request, logged).await
}

/// Around every request of the console.
async fn console_frame(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let respond = async |request| next.run(request).await;
    let logged = async |request| layers::log(&state, Listener::Console, request, respond).await;
    headers::set(&state.config, request, logged).await
}

/// Around every request of the management listener.
async fn management_frame(State(state): State<AppState>, request: Request, next: Next) -> Response {
    headers::set(&state.config, request, async |request| next.run(request).await).await
}

fn customer_sessions(state: &AppState) -> Sessions {
    Sessions::new(state.db.clone(), state.clock.clone(), SessionKind::Customer, &state.config.sessions)
}

/// The console with its layers. `None`: the configuration has no console.
pub fn console_router(state: &AppState) -> Option<Router> {
    let console = console::Console::new(state, login::preview)?;
    Some(console::router(&console).layer(middleware::from_fn_with_state(state.clone(), console_frame)))
}

/// Renders errors for their audience: problem details for machines, pages for people.
async fn render_errors(state: &AppState, request: Request, next: Next) -> Response {
    match routes::error_format(request.uri().path()) {
        ErrorFormat::Problem => api::problem::render(request, next).await,
        ErrorFormat::Page => login::errors::render(state, request, next).await,
    }
}

async fn run_until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// Deletes expired rows at regular intervals.
async fn sweep(state: AppState) {
    let failing = Condition::new();
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        state.limits.evict_idle();
        log_change(&failing, "expired rows are not deleted", sweep_once(&state).await);
    }
}

/// Sweeps every store. One that fails keeps no other from being swept.
///
/// # Errors
/// The first failure.
pub async fn sweep_once(state: &AppState) -> Result<(), DbError> {
    let now = state.clock.now();
    let days = |days: u64| Duration::from_secs(days * SECONDS_PER_DAY);
    let retention = &state.config.audit;
    let done = [
        state.consumed_tokens().sweep().await,
        state.known_networks.sweep().await,
        customer_sessions(state).sweep().await,
        state.biller_sessions.sweep().await,
        console::staff_sessions(state).sweep().await,
        state.decisions.sweep(days(retention.decision_retention_days)).await.map(drop),
        audit::sweep_events(&state.db, now.minus(days(retention.event_retention_days))).await.map(drop),
        IdempotencyKey::sweep(&state.db, now.minus(IDEMPOTENCY_RETENTION)).await,
    ];
    done.into_iter().collect()
}

/// Reloads the key ring when its files change. An invalid file leaves the keys as they are.
async fn reload_keys(state: AppState) {
    let mut reported = None;
    loop {
        tokio::time::sleep(KEY_RELOAD_INTERVAL).await;
        match state.config.secrets.key_ring(&state.random) {
            Ok(ring) => {
                if state.keys.replace(&ring) {
                    tracing::info!("the key ring was reloaded from its files");
                }
                reported = None;
            }
            Err(problem) if reported.as_ref() != Some(&problem) => {
                tracing::error!(problem, "the key ring's files are invalid; the previous keys stay in use");
                reported = Some(problem);
            }
            Err(_) => {}
        }
    }
}

/// Keeps what handoffs to the legacy login need while the database is away, and stores what was consumed meanwhile.
async fn prepare_for_outages(state: AppState) {
    let failing = [Condition::new(), Condition::new()];
    loop {
        let done = [
            ("the API keys for outages are not refreshed", state.api_keys.refresh_offline_keys().await),
            ("handoffs that were redeemed in an outage are not stored yet", state.consumed_tokens.persist().await),
        ];
        for (condition, (what, done)) in failing.iter().zip(done) {
            log_change(condition, what, done);
        }
        tokio::time::sleep(OUTAGE_DATA_INTERVAL).await;
    }
}

/// Logs that background work begins to fail, and that it succeeds again.
fn log_change(condition: &Condition, what: &'static str, done: Result<(), DbError>) {
    match done {
        Ok(()) => {
            if let Some(lasted) = condition.ends() {
                tracing::info!(what, seconds = lasted.as_secs(), "background work succeeds again");
            }
        }
        Err(error) if error.is_logged() || !condition.begins() => {}
        Err(error) => tracing::warn!(what, error = %error, "background work fails and is repeated"),
    }
}

async fn report_returns(state: AppState) {
    loop {
        tokio::time::sleep(RETURN_REPORT_INTERVAL).await;
        state.returns.report();
    }
}

/// Probes every identity provider once, then the failing ones at regular intervals. One instance probes at a time.
async fn probe_issuers(state: AppState) {
    registrations::probe_all(&state).await;
    loop {
        tokio::time::sleep(Duration::from_secs(state.config.oidc.probe_seconds)).await;
        registrations::probe_failing(&state).await;
    }
}
