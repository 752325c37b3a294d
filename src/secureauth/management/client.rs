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

    /// Takes the place of another client under other settings. A wait that the same tenant asked for goes on.
    #[must_use]
    pub fn continuing(self, previous: &Self) -> Self {
        let tenant = |client: &Self| (client.config.base_url.clone(), client.config.tenant.clone());
        if tenant(&self) == tenant(previous) {
            Self { backoff_until: Arc::clone(&previous.backoff_until), ..self }
        } else {
            self
        }
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

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::super::config::ServiceClient;
    use super::super::error::CallError;
    use super::*;
    use crate::config::{AddressPolicy, ImportPath, PathMode};
    use crate::telemetry::metrics::PoolWaits;

    fn client(tenant: &str) -> Management {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let service = || ServiceClient { client_id: "id".to_owned(), client_secret: SecretString::from("secret") };
        let config = ManagementConfig {
            base_url: "https://secureauth.example".parse().unwrap(),
            admin_base_url: None,
            tenant: tenant.to_owned(),
            path_mode: PathMode::Default,
            import_path: ImportPath::Tenant,
            system: service(),
            admin: service(),
            timeout: Duration::from_secs(1),
        };
        let http = Http::new(config.timeout, &AddressPolicy::default()).unwrap();
        let metrics = Arc::new(Metrics::new(&PoolWaits::default()));
        Management::new(http, config, (Clock::System, Random::system()), metrics)
    }

    #[tokio::test]
    async fn a_wait_outlives_other_settings_of_the_same_tenant() {
        let before = client("acme");
        before.back_off(Duration::from_secs(600));
        let waits = async |tenant: &str| {
            let renewed = client(tenant).continuing(&before).interactive();
            renewed.wait_for_backoff().await == Err(CallError::Throttled)
        };
        assert!(waits("acme").await && !waits("another").await);
    }
}
