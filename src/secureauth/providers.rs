//! A cache of discovery documents and keys.
//!
//! Each issuer has one fetch at a time. A document is fresh for a minute. For some minutes after that it is used while it is fetched
//! again in the background, so that no sign-in waits for the fetch. While the issuer does not respond it stays usable for a day. An unknown key id allows one early fetch of the keys in a minute, recorded before it is made, so that it fails
//! closed. A failure is cached for a few seconds, so that an unavailable issuer costs one caller a timeout, not all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;
use url::Url;

use super::discovery::{self, DiscoveryDocument};
use super::jwks::{self, SigningKeys};
use super::signing_key::SigningKey;
use super::{Http, ProviderError, Registration};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Endpoint;
use crate::telemetry::traces::{self, NewSpan};
use signpost_core::{Clock, Random, Timestamp};

const FRESH_FOR: Duration = Duration::from_secs(60);
const REFRESH_IN_BACKGROUND_FOR: Duration = Duration::from_secs(5 * 60);
const STALE_FOR: Duration = Duration::from_secs(24 * 3600);
const FORCED_REFRESH_INTERVAL: Duration = Duration::from_secs(60);
const FAILURE_TTL: Duration = Duration::from_secs(3);

/// An identity provider's discovery document and keys.
#[derive(Clone, Debug)]
pub struct Provider {
    pub(super) document: DiscoveryDocument,
    pub(super) keys: SigningKeys,
}

impl Provider {
    /// Whether the authorization response must carry `iss` (RFC 9207).
    pub fn sends_iss(&self) -> bool {
        self.document.iss_parameter_supported
    }

    /// Whether the provider lists the claims that it can send, and this one is not among them.
    pub fn lacks_claim(&self, name: &str) -> bool {
        self.document.claims_supported.as_ref().is_some_and(|claims| !claims.iter().any(|claim| claim == name))
    }

    /// The algorithms that the provider's keys can sign with: their `alg`, or those of their type.
    pub fn key_algorithms(&self) -> BTreeSet<&'static str> {
        self.keys.keys.keys().iter().flat_map(SigningKey::algorithms).collect()
    }

    /// Where codes are redeemed.
    pub fn token_endpoint(&self) -> &url::Url {
        &self.document.token_endpoint
    }

    /// OpenID Connect RP-Initiated Logout 1.0
    pub fn end_session_endpoint(&self) -> Option<&url::Url> {
        self.document.end_session_endpoint.as_ref()
    }

    /// An end-session endpoint that is not used, because it has parameters that Signpost sets.
    pub fn rejected_end_session_endpoint(&self) -> Option<&url::Url> {
        self.document.rejected_end_session_endpoint.as_ref()
    }
}

/// Whether the issuer itself was contacted, and the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerContact {
    /// The cache was fresh, or the issuer failed a moment ago.
    NotContacted,
    /// The cached document is due for a refresh in the background. See [`Providers::claim_refresh`].
    RefreshDue,
    Succeeded,
    /// The issuer failed. A stale document may have been used.
    Failed(ProviderError),
}

#[derive(Default)]
struct CacheEntry {
    provider: Option<(Arc<Provider>, Timestamp)>,
    failure: Option<(ProviderError, Timestamp)>,
    /// The failure that the log has, until the issuer recovers.
    reported: Option<ProviderError>,
    forced_refresh_at: Option<Timestamp>,
    /// When the last refresh in the background began.
    refreshed_at: Option<Timestamp>,
}

/// The providers of all billers. Cheap to clone.
#[derive(Clone)]
pub struct Providers {
    http: Http,
    clock: Clock,
    pub(super) random: Random,
    metrics: Arc<Metrics>,
    entries: Arc<Mutex<HashMap<String, Arc<AsyncMutex<CacheEntry>>>>>,
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Providers")
    }
}

impl Providers {
    pub fn new(http: Http, clock: Clock, random: Random, metrics: Arc<Metrics>) -> Self {
        Self { http, clock, random, metrics, entries: Arc::default() }
    }

    /// Makes a call to an endpoint of a registration's issuer, and counts it.
    pub(super) async fn counted<T, E: Into<ProviderError>>(
        &self,
        registration: &Registration,
        endpoint: Endpoint,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ProviderError> {
        let started = Instant::now();
        let biller = registration.biller.as_ref().map_or("", |slug| slug.as_str());
        let span = traces::begin(|| {
            let span = NewSpan::step("call issuer").with("signpost.biller", biller.to_owned());
            span.with("signpost.endpoint", endpoint.as_str())
        });
        let done = span.scope(call).await.map_err(Into::into);
        if let Err(error) = &done {
            span.fail(error.reason());
        }
        let outcome = done.as_ref().map_or_else(ProviderError::reason, |_| "success");
        self.metrics.record_issuer_call(biller, endpoint, outcome, started.elapsed());
        done
    }

    pub fn http(&self) -> &Http {
        &self.http
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the provider of a registration, from the cache or from the issuer.
    pub async fn get(&self, registration: &Registration) -> Result<(Arc<Provider>, IssuerContact), ProviderError> {
        let entry = self.entry(registration);
        let mut entry = entry.lock().await;
        let now = self.clock.now();
        if let Some((provider, at)) = &entry.provider {
            if at.plus(FRESH_FOR) > now {
                return Ok((Arc::clone(provider), IssuerContact::NotContacted));
            }
            let is_usable = entry.failure.as_ref().is_none_or(|(failure, _)| failure.allows_cached_documents());
            if is_usable && at.plus(REFRESH_IN_BACKGROUND_FOR) > now {
                return Ok((Arc::clone(provider), IssuerContact::RefreshDue));
            }
        }
        let recent_failure = entry.failure.clone().filter(|(_, at)| at.plus(FAILURE_TTL) > now);
        let (failure, contact) = match recent_failure {
            Some((failure, _)) => (failure, IssuerContact::NotContacted),
            None => match self.fetch(registration).await {
                Ok(provider) => return Ok((entry.store(registration, provider, now), IssuerContact::Succeeded)),
                Err(failure) => {
                    entry.failure = Some((failure.clone(), self.clock.now()));
                    (failure.clone(), IssuerContact::Failed(failure))
                }
            },
        };
        let cached = entry.provider.clone();
        match &cached {
            Some((provider, at)) if failure.allows_cached_documents() && at.plus(STALE_FOR) > now => {
                if contact != IssuerContact::NotContacted && entry.reported.as_ref() != Some(&failure) {
                    tracing::warn!(
                        issuer = registration.issuer,
                        reason = failure.reason(),
                        "the issuer's documents cannot be read; the cached ones are used for up to 24 hours"
                    );
                    entry.reported = Some(failure);
                }
                Ok((Arc::clone(provider), contact))
            }
            _ => Err(failure),
        }
    }

    /// Whether the caller is to fetch the issuer's documents again, by [`Providers::probe`]. One caller in a few seconds is.
    pub async fn claim_refresh(&self, registration: &Registration) -> bool {
        let entry = self.entry(registration);
        let mut entry = entry.lock().await;
        let now = self.clock.now();
        let is_due = entry.refreshed_at.is_none_or(|at| at.plus(FAILURE_TTL) <= now);
        if is_due {
            entry.refreshed_at = Some(now);
        }
        is_due
    }

    /// Fetches the issuer's documents now, even if the cache is fresh.
    pub async fn probe(&self, registration: &Registration) -> Result<(), ProviderError> {
        let fetched = self.fetch(registration).await;
        let entry = self.entry(registration);
        let mut entry = entry.lock().await;
        let now = self.clock.now();
        match fetched {
            Ok(provider) => {
                entry.store(registration, provider, now);
                Ok(())
            }
            Err(failure) => {
                entry.failure = Some((failure.clone(), now));
                Err(failure)
            }
        }
    }

    /// A member of the discovery document, whatever the registration says.
    pub async fn documented(&self, registration: &Registration, member: &str) -> Option<String> {
        let bytes = self.http.get(&discovery::discovery_url(&registration.issuer).ok()?).await.ok()?;
        let document: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        match document.get(member)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The first endpoint of the discovery document that is not allowed, with its member.
    pub async fn rejected_endpoint(&self, registration: &Registration) -> Option<(&'static str, Url)> {
        for member in discovery::ENDPOINTS {
            let documented = self.documented(registration, member).await;
            let Some(endpoint) = documented.and_then(|url| Url::parse(&url).ok()) else { continue };
            if discovery::check_endpoint(&endpoint, registration, &self.http).is_err() {
                return Some((member, endpoint));
            }
        }
        None
    }

    /// How far the issuer's clock is ahead of ours, in seconds. `None`: its response has no date.
    pub async fn clock_difference(&self, registration: &Registration) -> Result<Option<i64>, ProviderError> {
        let time = self.http.server_time(&discovery::discovery_url(&registration.issuer)?).await?;
        Ok(time.map(|time| time - self.clock.now().seconds()))
    }

    /// Fetches the discovery document alone.
    pub async fn probe_discovery(&self, registration: &Registration) -> Result<(), ProviderError> {
        self.fetch_document(registration).await.map(drop)
    }

    /// Fetches the keys again after a token named an unknown key. Fails if that happened less than a minute ago.
    pub(super) async fn with_refetched_keys(
        &self,
        registration: &Registration,
    ) -> Result<Arc<Provider>, ProviderError> {
        let entry = self.entry(registration);
        let mut entry = entry.lock().await;
        let now = self.clock.now();
        if entry.forced_refresh_at.is_some_and(|at| at.plus(FORCED_REFRESH_INTERVAL) > now) {
            return Err(ProviderError::InvalidResponse("unknown_key"));
        }
        entry.forced_refresh_at = Some(now);
        let provider = self.fetch(registration).await?;
        Ok(entry.store(registration, provider, now))
    }

    async fn fetch(&self, registration: &Registration) -> Result<Provider, ProviderError> {
        let document = self.fetch_document(registration).await?;
        let keys = async { jwks::parse(&self.http.get(&document.jwks_uri).await?) };
        let keys = self.counted(registration, Endpoint::Jwks, keys).await?;
        Ok(Provider { document, keys })
    }

    async fn fetch_document(&self, registration: &Registration) -> Result<DiscoveryDocument, ProviderError> {
        let address = discovery::discovery_url(&registration.issuer)?;
        let fetched = async { discovery::parse(&self.http.get(&address).await?, registration, &self.http) };
        self.counted(registration, Endpoint::Discovery, fetched).await
    }

    fn entry(&self, registration: &Registration) -> Arc<AsyncMutex<CacheEntry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // Two registrations at one issuer may allow different hosts and algorithms, by which its documents are checked.
        let Registration { client_id, issuer, id_token_algs, extra_hosts, .. } = registration;
        let key = format!("{client_id} {issuer} {id_token_algs:?} {extra_hosts:?}");
        Arc::clone(entries.entry(key).or_default())
    }
}

impl CacheEntry {
    fn store(&mut self, registration: &Registration, provider: Provider, now: Timestamp) -> Arc<Provider> {
        let issuer = &registration.issuer;
        let skipped = &provider.keys.skipped;
        let is_known = self.provider.as_ref().is_some_and(|(earlier, _)| earlier.keys.skipped == *skipped);
        if !skipped.is_empty() && !is_known {
            tracing::warn!(issuer, keys = skipped.join(", "), "unusable keys of the issuer are skipped");
        }
        let rejected = provider.rejected_end_session_endpoint();
        let is_known =
            self.provider.as_ref().is_some_and(|(earlier, _)| earlier.rejected_end_session_endpoint() == rejected);
        if let Some(endpoint) = rejected
            && !is_known
        {
            tracing::warn!(
                issuer,
                %endpoint,
                "the end-session endpoint has a parameter that Signpost sets: customers are not signed out at the provider"
            );
        }
        if self.reported.take().is_some() {
            tracing::info!(issuer, "the issuer's documents can be read again");
        }
        let provider = Arc::new(provider);
        self.provider = Some((Arc::clone(&provider), now));
        self.failure = None;
        provider
    }
}
