//! The client: configuration, access tokens, and limits on calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::config::ManagementConfig;
use crate::queue::Lease;
use crate::secureauth::Http;
use crate::telemetry::Metrics;
use signpost_core::{Clock, Random, Timestamp};

/// No background call waits longer than this before an attempt.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

/// The workspace whose API and access token a call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workspace {
    System,
    Admin,
}

impl Workspace {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Admin => "admin",
        }
    }
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    pub max_attempts: u32,
    /// The longest wait before an attempt.
    pub max_delay: Duration,
    /// Limits one attempt.
    pub timeout: Duration,
}

impl RetryPolicy {
    /// For background work.
    pub(super) fn for_jobs(timeout: Duration) -> Self {
        Self { max_attempts: 6, max_delay: MAX_RETRY_DELAY, timeout }
    }

    /// For calls that a user waits for.
    pub(super) const INTERACTIVE: Self =
        Self { max_attempts: 2, max_delay: Duration::from_secs(1), timeout: Duration::from_secs(5) };
}

#[derive(Clone)]
pub(super) struct Token {
    pub value: Arc<str>,
    pub expires_at: Timestamp,
}

/// The cached access token of each workspace. One caller at a time renews it.
#[derive(Clone, Default)]
pub(super) struct Tokens {
    pub system: Arc<Mutex<Option<Token>>>,
    pub admin: Arc<Mutex<Option<Token>>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

/// The management API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Management {
    pub(super) http: Http,
    pub(super) config: Arc<ManagementConfig>,
    pub(super) tokens: Tokens,
    /// When the wait that SecureAuth asked for ends.
    pub(super) backoff_until: Arc<watch::Sender<Option<Instant>>>,
    pub(super) retry_policy: RetryPolicy,
    pub(super) lease: Option<Lease>,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) metrics: Arc<Metrics>,
}

impl Management {
    pub fn new(http: Http, config: ManagementConfig, (clock, random): (Clock, Random), metrics: Arc<Metrics>) -> Self {
        let backoff_until = Arc::new(watch::Sender::new(None));
        let retry_policy = RetryPolicy::for_jobs(config.timeout);
        let (config, tokens) = (Arc::new(config), Tokens::default());
        Self { http, config, tokens, backoff_until, retry_policy, lease: None, clock, random, metrics }
    }

    /// Makes calls only while the lease is held, also between two attempts of one call.
    #[must_use]
    pub fn with_lease(&self, lease: Lease) -> Self {
        Self { lease: Some(lease), ..self.clone() }
    }

    /// For calls that a user waits for: fewer attempts within seconds.
    #[must_use]
    pub fn interactive(&self) -> Self {
        Self { retry_policy: RetryPolicy::INTERACTIVE, ..self.clone() }
    }

    pub fn tenant(&self) -> &str {
        &self.config.tenant
    }
}
