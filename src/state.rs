//! The application state of request handlers.

mod health;
mod reload;

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::{ApiKeys, ExhaustedLimits, KnownNetworks, RateLimits};
use crate::audit::{Actor, ActorContext, DecisionLog};
use crate::config::Config;
use crate::db::Db;
use crate::directory::Directory;
use crate::handoffs::{ConsumedTokens, Handoffs};
use crate::mail::Mail;
use crate::provisioning::Provisioning;
use crate::routing::Routing;
use crate::secureauth::Providers;
use crate::sessions::BillerSessions;
use crate::telemetry::{CallbackReturns, IssuerCalls, Metrics, Reachability, Traces};
use signpost_core::{Clock, KeyRing, Random, Timestamp};

pub use health::{
    BillerHealth, CircuitBreaker, DailyStats, HealthReporter, Integrity, IntegrityCache, MigrationStats, Queue,
    ReturnStats, ServiceHealth, SetupFault,
};
pub use reload::{CurrentState, ReloadQueue, ReloadReport, ReloadRequests};

/// The services that a request handler can use. A clone is one reference count.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Services>);

impl Deref for AppState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

impl AppState {
    /// A state with changed services, for page previews and tests.
    pub fn with(&self, change: impl FnOnce(&mut Services)) -> Self {
        let mut services = (*self.0).clone();
        change(&mut services);
        services.into()
    }
}

impl From<Services> for AppState {
    fn from(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

#[derive(Clone, Debug)]
pub struct Services {
    pub config: Arc<Config>,
    /// When these settings were read.
    pub configured_at: Timestamp,
    pub reloads: ReloadRequests,
    pub clock: Clock,
    pub random: Random,
    pub keys: KeyRing,
    /// For transactions that span several stores.
    pub db: Db,
    pub directory: Directory,
    pub routing: Routing,
    pub decisions: DecisionLog,
    pub provisioning: Provisioning,
    pub mail: Mail,
    pub providers: Providers,
    pub api_keys: ApiKeys,
    /// Cancelled when a shutdown begins, so that load balancers send no more requests.
    pub stopping: CancellationToken,
    /// Cancelled when the listeners close. Endless responses, such as event streams, end then.
    pub shutdown: CancellationToken,
    pub returns: Arc<CallbackReturns>,
    pub calls: Arc<IssuerCalls>,
    pub reachability: Arc<Reachability>,
    /// Of requests that may be worked on at a time.
    pub turns: Arc<Semaphore>,
    pub metrics: Arc<Metrics>,
    pub traces: Traces,
    pub integrity_cache: IntegrityCache,
    pub biller_sessions: BillerSessions,
    pub consumed_tokens: ConsumedTokens,
    pub limits: Arc<RateLimits>,
    pub known_networks: Arc<KnownNetworks>,
    pub exhausted_limits: ExhaustedLimits,
}

impl Services {
    pub fn actor_context(&self, actor: Actor) -> ActorContext {
        ActorContext::new(actor, &self.clock, &self.random)
    }

    pub fn consumed_tokens(&self) -> ConsumedTokens {
        self.consumed_tokens.clone()
    }

    pub fn handoffs(&self) -> Handoffs {
        Handoffs {
            config: Arc::clone(&self.config),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            consumed: self.consumed_tokens(),
            directory: self.directory.clone(),
            routing: self.routing.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

/// Services that handlers take alone.
macro_rules! from_ref {
    ($($service:ty: $field:ident),* $(,)?) => {
        $(impl FromRef<AppState> for $service {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        })*
    };
}

from_ref! {
    Arc<Config>: config,
    KeyRing: keys,
    Clock: clock,
    Db: db,
    Directory: directory,
    Routing: routing,
    DecisionLog: decisions,
    Provisioning: provisioning,
    ApiKeys: api_keys,
    BillerSessions: biller_sessions,
    Mail: mail,
    Arc<RateLimits>: limits,
}

impl FromRef<AppState> for Handoffs {
    fn from_ref(state: &AppState) -> Self {
        state.handoffs()
    }
}
