//! What handlers may hold.

mod health;

use std::sync::Arc;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use crate::access::{ApiKeys, RateLimits};
use crate::audit::{Actor, ActorContext, DecisionLog};
use crate::config::Config;
use crate::db::Db;
use crate::directory::Directory;
use crate::handoffs::{ConsumedTokens, Handoffs};
use crate::mail::Mail;
use crate::provisioning::Provisioning;
use crate::routing::Routing;
use crate::secureauth::Providers;
use crate::telemetry::{CallbackReturns, IssuerCalls};
use signpost_core::{Clock, KeyRing, Random};

pub use health::{
    BillerHealth, CircuitBreaker, DailyStats, Health, Integrity, IntegrityCache, MigrationStats, Queue, ReturnStats,
};

/// Everything a handler can reach. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// Settings.
    pub config: Arc<Config>,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Seals and opens tokens.
    pub keys: KeyRing,
    /// The database, for what has no room of its own.
    pub db: Db,
    /// Billers and users.
    pub directory: Directory,
    /// The decision.
    pub routing: Routing,
    /// The decision log.
    pub decisions: DecisionLog,
    /// Jobs that move billers.
    pub provisioning: Provisioning,
    /// Work that is done after an answer.
    pub mail: Mail,
    /// Identity providers.
    pub providers: Providers,
    /// Keys of machine clients.
    pub api_keys: ApiKeys,
    /// Cancelled when this instance stops: what would go on for ever ends then.
    pub shutdown: CancellationToken,
    /// How many came back from their issuers.
    pub returns: Arc<CallbackReturns>,
    /// How issuers did at our calls for sign-ins.
    pub calls: Arc<IssuerCalls>,
    /// What the last look through the directory found.
    pub integrity_cache: IntegrityCache,
    /// Limits of the look-up and of mails.
    pub limits: Arc<RateLimits>,
}

impl AppState {
    /// Somebody who does something now.
    pub fn actor_context(&self, actor: Actor) -> ActorContext {
        ActorContext::new(actor, &self.clock, &self.random)
    }

    pub fn consumed_tokens(&self) -> ConsumedTokens {
        ConsumedTokens::new(self.db.clone(), self.clock.clone())
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
    Directory: directory,
    Mail: mail,
    Arc<RateLimits>: limits,
}

impl FromRef<AppState> for Handoffs {
    fn from_ref(state: &AppState) -> Self {
        state.handoffs()
    }
}
