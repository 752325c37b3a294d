//! What handlers may hold.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::access::{ApiKeys, Limits};
use crate::audit::DecisionLog;
use crate::config::Config;
use crate::db::Db;
use crate::directory::Directory;
use crate::enablement::Enablement;
use crate::kernel::{Clock, KeyRing, Random};
use crate::routing::Routing;
use crate::secureauth::Providers;

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
    /// Identity providers.
    pub providers: Providers,
    /// Keys of machine clients.
    pub api_keys: ApiKeys,
    /// Cancelled when this instance stops: what would go on for ever ends then.
    pub stopping: CancellationToken,
    /// Limits of the look-up.
    pub limits: Arc<Limits>,
}
