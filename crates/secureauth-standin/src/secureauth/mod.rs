//! Stand-in of SecureAuth: one issuer per organization, `{base}/{tenant}/{organization}`, and the management API.
//!
//! What the vendor documents is kept to; where nothing is documented the choice is ours: a deactivated organization
//! refuses at `authorize` with a page, and the sign-in page prefills the username from `login_hint`.

mod api;
mod authorize;
mod discovery;
mod keys;
mod logout;
mod new_password;
mod pages;
mod token;
mod tokens;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::api::Api;
pub use self::api::{ApiCall, ApiClients, Fault, FaultRule, Faults, Mail, MailKind, RetryAfter, ServiceClient};
use self::keys::SigningKey;
use self::tokens::AuthorizationCodes;
use super::html::{SECUREAUTH, STYLE_PATH, stylesheet};
use super::store::{Store, lock};
use super::{Deps, web};
use signpost_core::Timestamp;

/// How long a browser stays signed in at an organization.
const SESSION_LIFETIME: Duration = Duration::from_hours(8);
/// How many requests are remembered for [`SecureAuthStandIn::requests`].
const MAX_RECORDED_REQUESTS: usize = 10_000;

/// Somebody with an account at an organization.
#[derive(Clone, Debug)]
pub struct IdpUser {
    /// What is typed to sign in; compared without regard to case.
    pub username: String,
    /// Display name.
    pub name: String,
    /// Mail address.
    pub email: String,
}

/// How an organization is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerState {
    /// Everything works.
    Up,
    /// Every path of the organization answers 503.
    Down,
    /// Switched off, not deleted: discovery works, authorize refuses.
    Deactivated,
}

/// An organization: an issuer with one client and its users.
#[derive(Clone)]
pub struct Organization {
    /// Also its path segment.
    pub id: String,
    /// Shown on the sign-in page.
    pub name: String,
    /// At the start; see [`SecureAuthStandIn::set_issuer_state`].
    pub state: IssuerState,
    /// Of the one client.
    pub client_id: String,
    /// Of the one client.
    pub client_secret: String,
    /// Where codes may be sent: compared exactly.
    pub redirect_uris: Vec<String>,
    /// Where browsers may be sent after signing out: compared exactly.
    pub post_logout_redirect_uris: Vec<String>,
    /// Who can sign in.
    pub users: Vec<IdpUser>,
}

/// A tenant with its organizations.
#[derive(Clone)]
pub struct SecureAuth {
    /// First path segment of every issuer.
    pub tenant: String,
    /// Of the one password that everybody has, as a PHC string.
    pub password_hash: String,
    /// The issuers.
    pub organizations: Vec<Organization>,
    /// Who may call the management API; without it there is none.
    pub api: Option<ApiClients>,
}

/// A running stand-in: the routes, and what tests may do to it.
#[derive(Clone)]
pub struct SecureAuthStandIn(Arc<Inner>);

struct Inner {
    tenant: String,
    password_hash: Arc<str>,
    issuer_base: String,
    organizations: RwLock<HashMap<String, Arc<Issuer>>>,
    api: Api,
    requests: Mutex<VecDeque<String>>,
    /// Further claims of ID tokens, by organization and username in lower case.
    extra_claims: Mutex<HashMap<(String, String), serde_json::Map<String, serde_json::Value>>>,
    deps: Deps,
}

/// One organization at work.
struct Issuer {
    id: String,
    url: String,
    /// Path of the issuer: of its cookie and its forms.
    path: String,
    name: Mutex<String>,
    /// Those of the constructor, by lower-case username.
    users: HashMap<String, Account>,
    down: AtomicBool,
    deactivated: AtomicBool,
    key: Mutex<Option<Arc<SigningKey>>>,
    codes: AuthorizationCodes,
    access_tokens: Store<AccessToken>,
    sessions: Store<Session>,
}

/// Somebody who can sign in, from wherever.
#[derive(Clone)]
struct Account {
    user: IdpUser,
    /// What the subject is made from.
    key: String,
    email_verified: bool,
    /// The authentication context: what claims may be taken from.
    context: serde_json::Map<String, serde_json::Value>,
}

/// What an access token opens.
#[derive(Clone)]
struct AccessToken {
    account: Account,
    expires: Timestamp,
}

/// A browser that is signed in.
#[derive(Clone)]
struct Session {
    username: String,
    expires: Timestamp,
}

/// Builds the stand-in; `issuer_base` is where it will be reached, such as `http://127.0.0.1:8081`.
#[expect(clippy::needless_pass_by_value, reason = "the interface agreed on")]
pub fn secureauth_app(config: SecureAuth, issuer_base: String, deps: Deps) -> SecureAuthStandIn {
    let base = issuer_base.trim_end_matches('/').to_owned();
    let issuer = |organization: &Organization| {
        let issuer = Issuer::new(&base, &config.tenant, &organization.id, &organization.name, &organization.users);
        issuer.set_issuer_state(organization.state);
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

impl SecureAuthStandIn {
    /// The routes.
    pub fn router(&self) -> Router {
        let issuer = Router::new()
            .route("/", get(pages::account))
            .route("/.well-known/openid-configuration", get(discovery::configuration))
            .route("/.well-known/jwks.json", get(discovery::jwks))
            .route("/oauth2/authorize", get(authorize::sign_in_page).post(authorize::submit))
            .route("/oauth2/token", axum::routing::post(token::exchange))
            .route("/userinfo", get(token::userinfo).post(token::userinfo))
            .route("/oidc/logout", get(logout::end_session).post(logout::end_session));
        Router::new()
            .nest("/{tenant}/{organization}", issuer)
            .route("/{tenant}/{organization}/", get(pages::account))
            .route(STYLE_PATH, get(async || stylesheet(&SECUREAUTH)))
            .fallback(async || discovery::not_found("no such path"))
            .layer(from_fn_with_state(self.clone(), dispatch))
            .with_state(self.clone())
    }

    /// Changes how an organization is doing; an unknown one is ignored.
    pub fn set_issuer_state(&self, org: &str, state: IssuerState) {
        if let Some(issuer) = self.organization(org) {
            issuer.set_issuer_state(state);
        }
    }

    /// Gives somebody a claim in ID tokens from now on, such as roles.
    pub fn set_claim(&self, org: &str, username: &str, name: &str, value: serde_json::Value) {
        let key = (org.to_owned(), username.to_lowercase());
        lock(&self.0.extra_claims).entry(key).or_default().insert(name.to_owned(), value);
    }

    fn extra_claims(&self, org: &str, username: &str) -> serde_json::Map<String, serde_json::Value> {
        lock(&self.0.extra_claims).get(&(org.to_owned(), username.to_lowercase())).cloned().unwrap_or_default()
    }

    /// Drops an organization's signing key; the next one, with another id, is made when it is asked for.
    pub fn rotate_key(&self, org: &str) {
        if let Some(issuer) = self.organization(org) {
            *lock(&issuer.key) = None;
        }
    }

    /// What goes wrong at the management API.
    pub fn faults(&self) -> Faults {
        self.0.api.faults.clone()
    }

    /// Every call of the management API, its token endpoints included, in the order they arrived.
    pub fn api_calls(&self) -> Vec<ApiCall> {
        self.0.api.journal.calls()
    }

    /// Whether the bodies of calls and answers are recorded as well.
    pub fn record_bodies(&self, with_bodies: bool) {
        self.0.api.journal.record_bodies(with_bodies);
    }

    /// The most calls of the management API that were under way at once.
    pub fn max_concurrent_api_calls(&self) -> usize {
        self.0.api.journal.peak()
    }

    /// Ids of all objects by kind: `organizations`, `pools`, `users` (an object: ids by pool), `user_identifiers`,
    /// `user_verifiable_addresses`, `user_credentials`, `idps`, `clients`, `claims`; and what they hold: `fields`.
    pub fn snapshot(&self) -> serde_json::Value {
        self.0.api.snapshot()
    }

    /// The mails that were sent, the oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.0.api.mails()
    }

    /// Method and path of each request received, the oldest first, without queries.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.0.requests).iter().cloned().collect()
    }

    fn record_request(&self, request: &Request) {
        let mut requests = lock(&self.0.requests);
        if requests.len() >= MAX_RECORDED_REQUESTS {
            requests.pop_front();
        }
        requests.push_back(format!("{} {}", request.method(), request.uri().path()));
    }

    /// The issuer whose path this is.
    fn issuer(&self, path: &str) -> Option<Arc<Issuer>> {
        let mut segments = path.trim_start_matches('/').split('/');
        if segments.next() != Some(self.0.tenant.as_str()) {
            return None;
        }
        self.organization(segments.next()?)
    }

    fn organization(&self, id: &str) -> Option<Arc<Issuer>> {
        self.0.organizations.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn add_issuer(&self, id: &str, name: &str) {
        let issuer = Arc::new(Issuer::new(&self.0.issuer_base, &self.0.tenant, id, name, &[]));
        self.0.organizations.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), issuer);
    }

    fn remove_issuer(&self, id: &str) {
        self.0.organizations.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn now(&self) -> Timestamp {
        self.0.deps.clock.now()
    }
}

/// Notes the request, finds its organization, and answers for it when it is down.
async fn dispatch(State(standin): State<SecureAuthStandIn>, mut request: Request, next: Next) -> Response {
    standin.record_request(&request);
    if request.uri().path() == STYLE_PATH {
        return next.run(request).await;
    }
    if api::is_api(&standin.0.tenant, request.uri().path()) {
        return api::handle(&standin, request).await;
    }
    let Some(issuer) = standin.issuer(request.uri().path()) else {
        return discovery::not_found("no such tenant or workspace");
    };
    if issuer.state() == IssuerState::Down {
        return web::no_store((StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable\n").into_response());
    }
    request.extensions_mut().insert(issuer);
    next.run(request).await
}

impl Issuer {
    fn new(base: &str, tenant: &str, id: &str, name: &str, users: &[IdpUser]) -> Self {
        let path = format!("/{tenant}/{id}");
        Self {
            id: id.to_owned(),
            url: format!("{base}{path}"),
            path,
            name: Mutex::new(name.to_owned()),
            users: users.iter().map(|user| (user.username.to_lowercase(), Account::new(user))).collect(),
            down: AtomicBool::new(false),
            deactivated: AtomicBool::new(false),
            key: Mutex::default(),
            codes: AuthorizationCodes::default(),
            access_tokens: Store::default(),
            sessions: Store::default(),
        }
    }

    fn state(&self) -> IssuerState {
        if self.down.load(Ordering::SeqCst) {
            IssuerState::Down
        } else if self.deactivated() {
            IssuerState::Deactivated
        } else {
            IssuerState::Up
        }
    }

    /// Down says nothing about being deactivated: an outage does not switch an organization on or off.
    fn set_issuer_state(&self, state: IssuerState) {
        self.down.store(state == IssuerState::Down, Ordering::SeqCst);
        if state != IssuerState::Down {
            self.set_deactivated(state == IssuerState::Deactivated);
        }
    }

    fn deactivated(&self) -> bool {
        self.deactivated.load(Ordering::SeqCst)
    }

    fn set_deactivated(&self, deactivated: bool) {
        self.deactivated.store(deactivated, Ordering::SeqCst);
    }

    fn name(&self) -> String {
        lock(&self.name).clone()
    }

    fn set_name(&self, name: &str) {
        name.clone_into(&mut lock(&self.name));
    }

    /// The signing key, made at the first asking.
    #[expect(clippy::expect_used, reason = "the task neither panics nor is cancelled")]
    async fn key(self: &Arc<Self>) -> Arc<SigningKey> {
        let issuer = Arc::clone(self);
        let make = move || Arc::clone(lock(&issuer.key).get_or_insert_with(|| Arc::new(SigningKey::generate())));
        tokio::task::spawn_blocking(make).await.expect("a key is made")
    }

    /// Name of the cookie by which a browser stays signed in.
    fn session_cookie(&self) -> String {
        format!("sa_session_{}", self.id)
    }
}

impl Account {
    /// One of the constructor's users.
    fn new(user: &IdpUser) -> Self {
        let context = [
            ("username", &user.username),
            ("preferred_username", &user.username),
            ("name", &user.name),
            ("email", &user.email),
        ];
        Self {
            user: user.clone(),
            key: user.username.to_lowercase(),
            email_verified: true,
            context: context.map(|(name, value)| (name.to_owned(), value.as_str().into())).into_iter().collect(),
        }
    }
}
