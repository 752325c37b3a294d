//! Discovery documents and keys, kept for a while and refreshed within bounds.
//!
//! One fetch at a time for each issuer. A document is good for a minute (so that an issuer in use that has gone is noticed
//! soon), and for a day while the issuer does not answer. An unknown key id allows one early fetch of the keys a minute, claimed before it is made, so that it fails
//! closed. A failure is remembered for a few seconds: a dead issuer costs one caller a timeout, not all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openidconnect::core::CoreJsonWebKeySet;
use tokio::sync::Mutex as AsyncMutex;

use super::discovery::{self, DiscoveryDocument};
use super::{AuthorizationParams, AuthorizationSecrets, Http, ProviderError, Registration, RequestParams, jwks};
use signpost_core::{Clock, Locale, Random, Timestamp};

const FRESH_FOR: Duration = Duration::from_secs(60);
const STALE_FOR: Duration = Duration::from_secs(24 * 3600);
const FORCED_REFRESH_INTERVAL: Duration = Duration::from_secs(60);
const FAILURE_TTL: Duration = Duration::from_secs(3);

/// A provider as its documents describe it.
#[derive(Clone, Debug)]
pub struct Provider {
    pub(super) document: DiscoveryDocument,
    pub(super) keys: CoreJsonWebKeySet,
}

impl Provider {
    /// Whether the authorization response must carry `iss` (RFC 9207).
    pub fn sends_iss(&self) -> bool {
        self.document.iss_parameter_supported
    }

    /// Where signing out is asked for (OpenID Connect RP-Initiated Logout 1.0), if the provider has it.
    pub fn end_session_endpoint(&self) -> Option<&url::Url> {
        self.document.end_session_endpoint.as_ref()
    }
}

/// Whether the issuer itself was asked, and how that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerContact {
    /// It was not asked: what is kept is fresh, or it failed a moment ago.
    NotContacted,
    /// It answered.
    Succeeded,
    /// It failed; what is kept was used all the same.
    Failed(ProviderError),
}

#[derive(Default)]
struct CacheEntry {
    provider: Option<(Arc<Provider>, Timestamp)>,
    failure: Option<(ProviderError, Timestamp)>,
    forced_refresh_at: Option<Timestamp>,
}

/// All providers met so far.
#[derive(Clone)]
pub struct Providers {
    http: Http,
    clock: Clock,
    pub(super) random: Random,
    entries: Arc<Mutex<HashMap<String, Arc<AsyncMutex<CacheEntry>>>>>,
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Providers")
    }
}

impl Providers {
    /// None met yet.
    pub fn new(http: Http, clock: Clock, random: Random) -> Self {
        Self { http, clock, random, entries: Arc::default() }
    }

    /// The client that asks them.
    pub fn http(&self) -> &Http {
        &self.http
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The provider of a registration.
    ///
    /// # Errors
    /// It does not answer and nothing usable is kept, or its documents are not acceptable.
    pub async fn get(&self, registration: &Registration) -> Result<(Arc<Provider>, IssuerContact), ProviderError> {
        let entry = self.entry(registration);
        let mut entry = entry.lock().await;
        let now = self.clock.now();
        if let Some((provider, at)) = &entry.provider
            && at.plus(FRESH_FOR) > now
        {
            return Ok((Arc::clone(provider), IssuerContact::NotContacted));
        }
        let recent_failure = entry.failure.clone().filter(|(_, at)| at.plus(FAILURE_TTL) > now);
        let (failure, contact) = match recent_failure {
            Some((failure, _)) => (failure, IssuerContact::NotContacted),
            None => match self.fetch(registration).await {
                Ok(provider) => return Ok((entry.store(provider, now), IssuerContact::Succeeded)),
                Err(failure) => {
                    entry.failure = Some((failure.clone(), self.clock.now()));
                    (failure.clone(), IssuerContact::Failed(failure))
                }
            },
        };
        match &entry.provider {
            Some((provider, at)) if failure.is_issuer_failure() && at.plus(STALE_FOR) > now => {
                tracing::warn!(issuer = registration.issuer, reason = failure.reason(), "going on with kept documents");
                Ok((Arc::clone(provider), contact))
            }
            _ => Err(failure),
        }
    }

    /// Asks the issuer now, whatever is kept.
    ///
    /// # Errors
    /// It does not answer, or its documents are not acceptable.
    pub async fn probe(&self, registration: &Registration) -> Result<(), ProviderError> {
        let fetched = self.fetch(registration).await;
        let entry = self.entry(registration);
        let mut entry = entry.lock().await;
        let now = self.clock.now();
        match fetched {
            Ok(provider) => {
                entry.store(provider, now);
                Ok(())
            }
            Err(failure) => {
                entry.failure = Some((failure.clone(), now));
                Err(failure)
            }
        }
    }

    /// Asks the issuer for its discovery document alone.
    ///
    /// # Errors
    /// It does not answer, or the document is not acceptable.
    pub async fn probe_discovery(&self, registration: &Registration) -> Result<(), ProviderError> {
        self.fetch_document(registration).await.map(drop)
    }

    /// Whether the issuer would send people back to us: it is asked for a sign-in that must not show anything
    /// (`prompt=none`; OpenID Connect Core, section 3.1.2.6), which it answers at our address if it knows that, and on a
    /// page of its own if not. None: neither can be told.
    ///
    /// # Errors
    /// It does not answer, or refuses us before the question comes up.
    pub async fn accepts_redirect_uri(&self, registration: &Registration) -> Result<Option<bool>, ProviderError> {
        let authorization_params =
            AuthorizationParams { prompt: Some("none".to_owned()), ..AuthorizationParams::default() };
        let silent = Registration { authorization_params, ..registration.clone() };
        let (nonce, verifier) = (self.random.token::<16>(), self.random.token::<48>());
        let secrets = AuthorizationSecrets { nonce: &nonce, pkce_verifier: &verifier };
        let params = RequestParams { state: "readiness", login_hint: None, locale: Locale::default() };
        let (address, ..) = match self.authorization_url(&silent, secrets, params).await {
            Err(ProviderError::Rejected("par_rejected")) => return Ok(Some(false)),
            result => result?,
        };
        let is_own =
            |to: &url::Url| to.origin() == silent.redirect_uri.origin() && to.path() == silent.redirect_uri.path();
        Ok(match self.http.redirect_target(&address).await? {
            (_, Some(to)) if is_own(&to) => Some(true),
            (400 | 401 | 403 | 404, _) => Some(false),
            _ => None,
        })
    }

    /// The provider with keys fetched anew, because a token names one that is not known; at most once a minute.
    ///
    /// # Errors
    /// It was done less than a minute ago, or the keys cannot be had.
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
        Ok(entry.store(provider, now))
    }

    async fn fetch(&self, registration: &Registration) -> Result<Provider, ProviderError> {
        let document = self.fetch_document(registration).await?;
        let keys = jwks::parse(&self.http.get(&document.jwks_uri).await?)?;
        Ok(Provider { document, keys })
    }

    async fn fetch_document(&self, registration: &Registration) -> Result<DiscoveryDocument, ProviderError> {
        let found = self.http.get(&discovery::discovery_url(&registration.issuer)?).await?;
        discovery::parse(&found, registration, &self.http)
    }

    fn entry(&self, registration: &Registration) -> Arc<AsyncMutex<CacheEntry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // Two registrations at one issuer may pin different hosts and algorithms.
        let key = format!("{} {}", registration.client_id, registration.issuer);
        Arc::clone(entries.entry(key).or_default())
    }
}

impl CacheEntry {
    fn store(&mut self, provider: Provider, now: Timestamp) -> Arc<Provider> {
        let provider = Arc::new(provider);
        self.provider = Some((Arc::clone(&provider), now));
        self.failure = None;
        provider
    }
}
