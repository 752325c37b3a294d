//! Builds the services from settings: all of them at the start, those that depend on settings at a reload.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::{ApiKeys, ExhaustedLimits, KnownNetworks, RateLimits};
use crate::audit::DecisionLog;
use crate::config::{Config, Secret};
use crate::db::{Db, DbError, Schema};
use crate::directory::Directory;
use crate::handoffs::ConsumedTokens;
use crate::mail::{self, Mail};
use crate::provisioning::{self, Provisioning};
use crate::routing::Routing;
use crate::secureauth::management::{Management, ManagementConfig, ServiceClient};
use crate::secureauth::{Http, Providers};
use crate::sessions::BillerSessions;
use crate::state::{AppState, IntegrityCache, ReloadRequests, Services};
use crate::telemetry::{Metrics, Traces};
use crate::web::tls::TlsError;
use signpost_core::{Clock, KeyRing, Random};

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
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the HTTP client could not be set up: {0}")]
    Http(String),
}

/// What the services are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Serve,
    /// A command exports no traces.
    Command,
}

/// Opens the database and creates the services.
pub(super) async fn assemble(
    config: Config,
    schema: Schema,
    (clock, random): (Clock, Random),
    reloads: ReloadRequests,
    purpose: Purpose,
) -> Result<AppState, BuildError> {
    let url = config.database.url.reveal().map_err(BuildError::Secret)?;
    let url = url.expose_secret();
    let db = Db::open(url, config.database.connections, schema)
        .await
        .map_err(|error| BuildError::Db { url: redact_password(url), error })?;
    let keys = key_ring(&config, &random)?;
    let directory = Directory::new(db.clone());
    let metrics = Arc::new(Metrics::new(db.waits()));
    let (decisions, log_writer) =
        DecisionLog::new(db.clone(), &keys, clock.clone(), random.clone(), Arc::clone(&metrics));
    let traces = match purpose {
        Purpose::Serve => Traces::start(&config.traces, random.token::<12>(), &metrics).map_err(BuildError::Setting)?,
        Purpose::Command => Traces::default(),
    };
    let providers = Providers::new(http_client(&config)?, clock.clone(), random.clone(), Arc::clone(&metrics));
    let limits = Arc::new(RateLimits::new(&config.limits, &config.mail));
    let basis =
        Basis { db: &db, directory: &directory, clock: &clock, random: &random, metrics: &metrics, traces: &traces };
    let config = Arc::new(config);
    let Configured { routing, provisioning, mail } = configure(&basis, &config, &keys, &providers, &limits, None)?;
    let services = Services {
        api_keys: ApiKeys::new(db.clone(), clock.clone(), random.clone()),
        returns: Arc::default(),
        calls: Arc::default(),
        reachability: Arc::default(),
        turns: Arc::new(Semaphore::new(config.server.max_requests)),
        integrity_cache: IntegrityCache::default(),
        biller_sessions: BillerSessions::new(db.clone(), clock.clone(), random.clone(), &config.sessions),
        consumed_tokens: ConsumedTokens::new(db.clone(), clock.clone()),
        known_networks: Arc::new(KnownNetworks::new(db.clone(), clock.clone(), &keys)),
        exhausted_limits: ExhaustedLimits::new(db.clone(), clock.clone(), &keys),
        configured_at: clock.now(),
        stopping: CancellationToken::new(),
        shutdown: CancellationToken::new(),
        reloads,
        config,
        clock,
        random,
        keys,
        db,
        directory,
        routing,
        decisions,
        provisioning,
        mail,
        providers,
        metrics,
        traces,
        limits,
    };
    tokio::spawn(log_writer.run());
    Ok(services.into())
}

/// The services under other settings. They share the database, the caches and the counters of the running ones, except for what
/// other settings make worthless: the documents of identity providers under another address policy, and the counters of rate
/// limits under other limits.
pub(super) fn reassemble(running: &AppState, config: Config) -> Result<AppState, BuildError> {
    let before = &running.config;
    let keys = key_ring(&config, &running.random)?;
    let is_same_client = before.oidc.timeout_seconds == config.oidc.timeout_seconds
        && before.oidc.address_policy() == config.oidc.address_policy();
    let providers = if is_same_client {
        running.providers.clone()
    } else {
        let (clock, random, metrics) = (&running.clock, &running.random, &running.metrics);
        Providers::new(http_client(&config)?, clock.clone(), random.clone(), Arc::clone(metrics))
    };
    let of_mail = |config: &Config| (config.mail.per_address_per_hour, config.mail.per_client_per_hour);
    let limits = if before.limits == config.limits && of_mail(before) == of_mail(&config) {
        Arc::clone(&running.limits)
    } else {
        Arc::new(RateLimits::new(&config.limits, &config.mail))
    };
    let turns = if before.server.max_requests == config.server.max_requests {
        Arc::clone(&running.turns)
    } else {
        Arc::new(Semaphore::new(config.server.max_requests))
    };
    let basis = Basis {
        db: &running.db,
        directory: &running.directory,
        clock: &running.clock,
        random: &running.random,
        metrics: &running.metrics,
        traces: &running.traces,
    };
    let config = Arc::new(config);
    let configured = configure(&basis, &config, &keys, &providers, &limits, Some(running))?;
    let Configured { routing, provisioning, mail } = configured;
    Ok(running.with(|services| {
        services.decisions = services.decisions.with_keys(&keys);
        services.exhausted_limits = services.exhausted_limits.with_keys(&keys);
        services.known_networks = Arc::new(services.known_networks.with_keys(&keys));
        services.biller_sessions = services.biller_sessions.with_lifetime(&config.sessions);
        services.configured_at = services.clock.now();
        services.config = config;
        services.keys = keys;
        services.providers = providers;
        services.limits = limits;
        services.turns = turns;
        services.routing = routing;
        services.provisioning = provisioning;
        services.mail = mail;
    }))
}

/// What does not depend on settings that a reload changes.
struct Basis<'a> {
    db: &'a Db,
    directory: &'a Directory,
    clock: &'a Clock,
    random: &'a Random,
    metrics: &'a Arc<Metrics>,
    traces: &'a Traces,
}

/// The services that are made anew whenever settings are read.
struct Configured {
    routing: Routing,
    provisioning: Provisioning,
    mail: Mail,
}

fn configure(
    basis: &Basis<'_>,
    config: &Arc<Config>,
    keys: &KeyRing,
    providers: &Providers,
    limits: &Arc<RateLimits>,
    running: Option<&AppState>,
) -> Result<Configured, BuildError> {
    let Basis { db, directory, clock, random, traces, .. } = *basis;
    let provisioning_deps = provisioning::Deps {
        db: db.clone(),
        directory: directory.clone(),
        management: management(config, providers, basis)?,
        providers: providers.clone(),
        keys: keys.clone(),
        clock: clock.clone(),
        random: random.clone(),
        traces: traces.clone(),
    };
    let mut provisioning = Provisioning::new(provisioning_deps, config);
    let mut routing = Routing::new(directory.clone(), Arc::clone(config), clock.clone());
    if let Some(running) = running {
        provisioning = provisioning.continuing(&running.provisioning);
        routing = routing.continuing(&running.routing);
    }
    let mail_deps = mail::Deps {
        db: db.clone(),
        keys: keys.clone(),
        random: random.clone(),
        clock: clock.clone(),
        directory: directory.clone(),
        routing: routing.clone(),
        provisioning: provisioning.clone(),
        limits: Arc::clone(limits),
        config: Arc::clone(config),
        traces: traces.clone(),
    };
    let mail = Mail::new(mail_deps).map_err(BuildError::Setting)?;
    Ok(Configured { routing, provisioning, mail })
}

fn http_client(config: &Config) -> Result<Http, BuildError> {
    let timeout = Duration::from_secs(config.oidc.timeout_seconds);
    Http::new(timeout, &config.oidc.address_policy()).map_err(|error| BuildError::Http(error.to_string()))
}

/// The client of SecureAuth's management API, if the configuration has one.
fn management(config: &Config, providers: &Providers, basis: &Basis<'_>) -> Result<Option<Management>, BuildError> {
    let settings = &config.secureauth;
    let Some(base) = &settings.base_url else { return Ok(None) };
    let client = |id: &str, secret: &Option<Secret>| {
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
    Ok(Some(Management::new(
        providers.http().clone(),
        management_config,
        (basis.clock.clone(), basis.random.clone()),
        Arc::clone(basis.metrics),
    )))
}

fn redact_password(database: &str) -> String {
    let redacted = url::Url::parse(database).ok().and_then(|mut url| url.set_password(None).is_ok().then_some(url));
    redacted.map_or_else(|| database.split('@').next_back().unwrap_or_default().to_owned(), String::from)
}

pub fn key_ring(config: &Config, random: &Random) -> Result<KeyRing, BuildError> {
    config.secrets.key_ring(random).map_err(|problem| BuildError::Secret(format!("secrets.keys: {problem}")))
}
