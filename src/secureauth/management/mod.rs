//! SecureAuth's management API: organizations, pools, connections, clients, claims, users, bulk import.
//!
//! Things are found by their exact id, never by the vendor's searches, which match parts of names. Ids are chosen by the
//! caller and written down before a call, so that a call whose answer was lost can be looked up.

mod audit;
mod calls;
mod dump;
mod endpoints;
mod export;
mod objects;
mod passwords;
mod policy;
mod tokens;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::watch;
use tokio::time::Instant;

pub use audit::{SecureAuthEvent, SecureAuthEventQuery};
pub use calls::{CallError, Rejection};
pub use dump::{Dump, DumpAddress, DumpCredential, DumpIdentifier, DumpNames, DumpUser, Empty, Entry};
pub use endpoints::{ManagementConfig, ServiceClient};
pub use export::ExportError;
pub use objects::{NewClient, NewPool, Organization, Pool, PoolSettings};
pub use passwords::PasswordState;
pub use policy::{PasswordPolicy, Strength};
pub use users::{Address, Identifier, PoolUser};

use self::calls::RetryPolicy;
use self::tokens::Tokens;
use super::Http;
use signpost_core::{Clock, Random, Timestamp};

/// Whose token a call needs (and whose API it is).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Workspace {
    System,
    Admin,
}

impl Workspace {
    fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Admin => "admin",
        }
    }
}

/// Until when calls may be made: an owner that slept through its lease makes none any more, also between two tries of one
/// call. Copies share it.
#[derive(Clone, Debug, Default)]
pub struct CallWindow(Arc<AtomicI64>);

impl CallWindow {
    /// Calls may be made until then.
    pub fn extend(&self, until: Timestamp) {
        self.0.store(until.millis(), Ordering::Relaxed);
    }

    fn is_open(&self, now: Timestamp) -> bool {
        now.millis() < self.0.load(Ordering::Relaxed)
    }
}

/// The management API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Management {
    http: Http,
    config: Arc<ManagementConfig>,
    tokens: Tokens,
    /// Until when the vendor asked to be left alone.
    backoff_until: Arc<watch::Sender<Option<Instant>>>,
    retry_policy: RetryPolicy,
    window: Option<CallWindow>,
    clock: Clock,
    random: Random,
}

impl Management {
    /// At a place.
    pub fn new(http: Http, config: ManagementConfig, clock: Clock, random: Random) -> Self {
        let backoff_until = Arc::new(watch::Sender::new(None));
        let retry_policy = RetryPolicy::for_jobs(config.timeout);
        let (config, tokens) = (Arc::new(config), Tokens::default());
        Self { http, config, tokens, backoff_until, retry_policy, window: None, clock, random }
    }

    /// The same for calls that may be made for a time only.
    #[must_use]
    pub fn with_call_window(&self, window: CallWindow) -> Self {
        Self { window: Some(window), ..self.clone() }
    }

    /// The same for calls that somebody waits for: it tries less often, and gives up within seconds.
    #[must_use]
    pub fn interactive(&self) -> Self {
        Self { retry_policy: RetryPolicy::INTERACTIVE, ..self.clone() }
    }

    /// The tenant's id.
    pub fn tenant(&self) -> &str {
        &self.config.tenant
    }
}
