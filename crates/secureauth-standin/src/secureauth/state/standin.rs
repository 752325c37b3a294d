//! The running stand-in, and what tests may do to it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::extract::Request;
use serde_json::{Map, Value};

use super::api::Api;
use super::faults::Faults;
use super::issuer::Issuer;
use super::journal::ApiCall;
use super::mail::Mail;
use crate::Deps;
use crate::secureauth::config::{IssuerState, Organization, SecureAuth};
use crate::store::lock;
use signpost_core::{Random, Timestamp};

/// How many requests [`SecureAuthStandIn::requests`] remembers.
const MAX_RECORDED_REQUESTS: usize = 10_000;

/// A running stand-in. Clones share their state.
#[derive(Clone)]
pub struct SecureAuthStandIn(Arc<Inner>);

struct Inner {
    tenant: String,
    password_hash: Arc<str>,
    issuer_base: String,
    organizations: RwLock<HashMap<String, Arc<Issuer>>>,
    api: Api,
    /// With their `traceparent`.
    requests: Mutex<VecDeque<(String, Option<String>)>>,
    /// Additional claims of ID tokens, by organization and lower-case username.
    extra_claims: Mutex<HashMap<(String, String), Map<String, Value>>>,
    deps: Deps,
}

/// Builds the stand-in. `issuer_base` is its public address, such as `http://127.0.0.1:8081`.
#[expect(clippy::needless_pass_by_value, reason = "callers build both values for this call")]
pub fn secureauth_app(config: SecureAuth, issuer_base: String, deps: Deps) -> SecureAuthStandIn {
    let base = issuer_base.trim_end_matches('/').to_owned();
    let issuer = |organization: &Organization| {
        let issuer = Issuer::new(&base, &config.tenant, &organization.id, &organization.name, &organization.users);
        issuer.set_state(organization.state);
        (organization.id.clone(), Arc::new(issuer))
    };
    SecureAuthStandIn(Arc::new(Inner {
        organizations: RwLock::new(config.organizations.iter().map(issuer).collect()),
        api: Api::new(&config.tenant, config.api, &config.organizations),
        issuer_base: base,
        tenant: config.tenant,
        password_hash: config.password_hash.into(),
        requests: Mutex::default(),
        extra_claims: Mutex::default(),
        deps,
    }))
}

/// For tests and the demo.
impl SecureAuthStandIn {
    /// Sets the state of an organization; ignores an unknown one.
    pub fn set_issuer_state(&self, org: &str, state: IssuerState) {
        if let Some(issuer) = self.organization(org) {
            issuer.set_state(state);
        }
    }

    /// Adds a claim to the ID tokens of a user, such as roles.
    pub fn set_claim(&self, org: &str, username: &str, name: &str, value: Value) {
        let key = (org.to_owned(), username.to_lowercase());
        lock(&self.0.extra_claims).entry(key).or_default().insert(name.to_owned(), value);
    }

    /// Drops an organization's signing key. Its next use generates one with another id.
    pub fn rotate_key(&self, org: &str) {
        if let Some(issuer) = self.organization(org) {
            issuer.drop_key();
        }
    }

    /// Fault injection for the management API.
    pub fn faults(&self) -> Faults {
        self.0.api.faults.clone()
    }

    /// Every call of the management API and its token endpoints, in order of arrival.
    pub fn api_calls(&self) -> Vec<ApiCall> {
        self.0.api.journal.calls()
    }

    /// Also records the bodies of requests and responses.
    pub fn record_bodies(&self, with_bodies: bool) {
        self.0.api.journal.record_bodies(with_bodies);
    }

    /// The highest number of management API calls in flight at once.
    pub fn max_concurrent_api_calls(&self) -> usize {
        self.0.api.journal.peak()
    }

    /// Ids of all objects by kind: `organizations`, `pools`, `users` (an object: ids by pool), `user_identifiers`,
    /// `user_verifiable_addresses`, `user_credentials`, `idps`, `clients`, `claims`; and their content: `fields`.
    pub fn snapshot(&self) -> Value {
        self.0.api.objects().snapshot()
    }

    /// The mails sent, the oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.0.api.mails).clone()
    }

    /// Method and path of each request, the oldest first, without queries.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.0.requests).iter().map(|(request, _)| request.clone()).collect()
    }

    /// The same with the `traceparent` (W3C Trace Context), of the requests that have one.
    pub fn traced_requests(&self) -> Vec<(String, String)> {
        let requests = lock(&self.0.requests);
        requests.iter().filter_map(|(request, trace)| Some((request.clone(), trace.clone()?))).collect()
    }
}

/// For the handlers.
impl SecureAuthStandIn {
    pub(crate) fn api(&self) -> &Api {
        &self.0.api
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// The password that all users of the configuration share.
    pub(crate) fn password_hash(&self) -> &Arc<str> {
        &self.0.password_hash
    }

    pub(crate) fn random(&self) -> &Random {
        &self.0.deps.random
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.deps.clock.now()
    }

    pub(crate) fn extra_claims(&self, org: &str, username: &str) -> Map<String, Value> {
        lock(&self.0.extra_claims).get(&(org.to_owned(), username.to_lowercase())).cloned().unwrap_or_default()
    }

    pub(crate) fn record_request(&self, request: &Request) {
        let mut requests = lock(&self.0.requests);
        if requests.len() >= MAX_RECORDED_REQUESTS {
            requests.pop_front();
        }
        let trace = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        requests.push_back((format!("{} {}", request.method(), request.uri().path()), trace.map(str::to_owned)));
    }

    /// The issuer of a path.
    pub(crate) fn issuer(&self, path: &str) -> Option<Arc<Issuer>> {
        let mut segments = path.trim_start_matches('/').split('/');
        if segments.next() != Some(self.0.tenant.as_str()) {
            return None;
        }
        self.organization(segments.next()?)
    }

    pub(crate) fn organization(&self, id: &str) -> Option<Arc<Issuer>> {
        self.0.organizations.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(crate) fn add_issuer(&self, id: &str, name: &str) {
        let issuer = Arc::new(Issuer::new(&self.0.issuer_base, &self.0.tenant, id, name, &[]));
        self.0.organizations.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), issuer);
    }

    pub(crate) fn remove_issuer(&self, id: &str) {
        self.0.organizations.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
