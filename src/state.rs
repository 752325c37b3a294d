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
use crate::mail::Mail;
use crate::routing::Routing;
use crate::secureauth::Providers;
use crate::telemetry::Returns;

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
    /// Limits of the look-up and of mails.
    pub limits: Arc<Limits>,
}
