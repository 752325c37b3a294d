//! What handlers may hold.

mod health;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::access::{ApiKeys, Limits};
use crate::audit::{Actor, By, DecisionLog};
use crate::config::Config;
use crate::db::Db;
use crate::directory::Directory;
use crate::enablement::Enablement;
use crate::mail::Mail;
use crate::routing::Routing;
use crate::secureauth::Providers;
use crate::telemetry::{Calls, Returns};
use signpost_core::{Clock, KeyRing, Random};

pub use health::{BillerHealth, Breaker, Day, Health, Integrity, LastLook, Queue, Returned, Scoreboard};

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
    pub enablement: Enablement,
    /// Work that is done after an answer.
    pub mail: Mail,
    /// Identity providers.
    pub providers: Providers,
    /// Keys of machine clients.
    pub api_keys: ApiKeys,
    /// Cancelled when this instance stops: what would go on for ever ends then.
    pub stopping: CancellationToken,
    /// How many came back from their issuers.
    pub returns: Arc<Returns>,
    /// How issuers did at our calls for sign-ins.
    pub calls: Arc<Calls>,
    /// What the last look through the directory found.
    pub last_look: LastLook,
    /// Limits of the look-up and of mails.
    pub limits: Arc<Limits>,
}

impl AppState {
    /// Somebody who does something now.
    pub fn by(&self, actor: Actor) -> By {
        By::new(actor, &self.clock, &self.random)
    }
}
