//! Stand-in of the biller portals: redeems handoffs, starts sessions, shows who is signed in.
//!
//! Against login CSRF, the user must confirm a handoff that this browser did not request.

mod pages;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};

use super::Deps;
use super::handoff::{Gateway, HandoffPayload, Redemption};
use super::html::{PORTAL, STYLE_PATH, stylesheet};
use super::store::Store;
use super::web::{Fields, cookie, see_other, with_cookie, without_cookie};
use signpost_core::text::sha256;

/// The state of the sign-in that this browser started.
const STATE_COOKIE: &str = "portal_state";
/// Identifies the browser, to find handoffs that need confirmation.
const PENDING_COOKIE: &str = "portal_pending";
/// The portal's own session.
const SESSION_COOKIE: &str = "portal_session";

#[derive(Clone)]
pub struct BillerPortal {
    /// Base address of the gateway, such as `http://localhost:8080`.
    pub gateway: String,
    /// Key with the scope `handoff:redeem`.
    pub api_key: String,
    /// Slug and name of each biller.
    pub billers: Vec<(String, String)>,
}

struct Portal {
    gateway: Gateway,
    billers: Vec<(String, String)>,
    /// Slugs by state.
    login_states: Store<String>,
    /// Handoffs that need confirmation, by browser and hash of the token.
    pending: Store<HandoffPayload>,
    /// Slugs by hash of the redeemed token.
    redeemed_tokens: Store<String>,
    sessions: Store<HandoffPayload>,
    deps: Deps,
}

pub fn portal_app(portal: BillerPortal, deps: Deps) -> Router {
    let portal = Portal {
        gateway: Gateway::new(&portal.gateway, portal.api_key),
        billers: portal.billers,
        login_states: Store::default(),
        pending: Store::default(),
        redeemed_tokens: Store::default(),
        sessions: Store::default(),
        deps,
    };
    Router::new()
        .route("/", get(home))
        .route("/{*path}", get(home))
        .route("/handoff", get(receive))
        .route("/confirm", post(confirm))
        .route("/signout", post(sign_out))
        .route("/start/{slug}", get(start))
        .route(STYLE_PATH, get(async || stylesheet(&PORTAL)))
        .with_state(Arc::new(portal))
}

/// Any path: the session, or the list of billers.
async fn home(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    match portal.session(&headers) {
        Some(session) => pages::signed_in(portal.biller_name(&session), &session),
        None => pages::billers(&portal.billers),
    }
}

/// `GET /start/{slug}`: redirects to the gateway with a state.
async fn start(State(portal): State<Arc<Portal>>, Path(slug): Path<String>) -> Response {
    if !portal.billers.iter().any(|(known, _)| *known == slug) {
        return see_other("/");
    }
    let state = portal.deps.random.token::<16>();
    let location = portal.gateway.url(&format!("/b/{slug}?state={state}"));
    portal.login_states.insert(state.clone(), slug);
    with_cookie(see_other(&location), STATE_COOKIE, &state, "/")
}

/// `GET /handoff?token=…`
async fn receive(State(portal): State<Arc<Portal>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let token = fields.get("token").unwrap_or_default();
    let key = sha256(token.as_bytes());
    let browser = cookie(&headers, PENDING_COOKIE);
    if let Some(handoff) = browser.as_ref().and_then(|browser| portal.pending.get(&format!("{browser} {key}"))) {
        return pages::confirm(portal.biller_name(&handoff), &handoff, &key);
    }
    let redeemed = if token.is_empty() {
        Redemption::Invalid
    } else {
        portal.gateway.redeem(&portal.deps.http, token, "portal").await
    };
    if let Redemption::Payload(handoff) = &redeemed
        && let Some(slug) = &handoff.biller
    {
        portal.redeemed_tokens.insert(key.clone(), slug.clone());
    }
    match redeemed {
        Redemption::Payload(handoff) if portal.is_solicited(&headers, &handoff) => {
            let response = portal.sign_in(&headers, *handoff);
            without_cookie(response, STATE_COOKIE, "/")
        }
        Redemption::Payload(handoff) => {
            let response = pages::confirm(portal.biller_name(&handoff), &handoff, &key);
            let browser = browser.unwrap_or_else(|| portal.deps.random.token::<32>());
            portal.pending.insert(format!("{browser} {key}"), *handoff);
            with_cookie(response, PENDING_COOKIE, &browser, "/")
        }
        Redemption::Invalid if portal.session(&headers).is_some() => see_other("/"),
        Redemption::Invalid => pages::invalid_token(&portal.restart_url(&headers, &key)),
        Redemption::Unreachable => pages::unreachable(&portal.restart_url(&headers, &key)),
    }
}

/// `POST /confirm`
async fn confirm(State(portal): State<Arc<Portal>>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = Fields::parse(&body);
    let key = fields.get("handoff").unwrap_or_default();
    let pending = cookie(&headers, PENDING_COOKIE).and_then(|browser| portal.pending.take(&format!("{browser} {key}")));
    match pending {
        Some(handoff) => portal.sign_in(&headers, handoff),
        None if portal.session(&headers).is_some() => see_other("/"),
        None => pages::invalid_token(&portal.restart_url(&headers, key)),
    }
}

/// `POST /signout`: ends the portal's own session, then the gateway's.
async fn sign_out(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    let session = cookie(&headers, SESSION_COOKIE).and_then(|id| portal.sessions.take(&id));
    let location = match session.and_then(|session| session.biller) {
        Some(slug) => portal.gateway.url(&format!("/logout?biller={slug}")),
        None => "/".to_owned(),
    };
    without_cookie(see_other(&location), SESSION_COOKIE, "/")
}

impl Portal {
    fn session(&self, headers: &HeaderMap) -> Option<HandoffPayload> {
        self.sessions.get(&cookie(headers, SESSION_COOKIE)?)
    }

    /// Whether this browser requested the handoff, at the same biller.
    fn is_solicited(&self, headers: &HeaderMap, handoff: &HandoffPayload) -> bool {
        let state = handoff.state.as_deref().filter(|state| !state.is_empty());
        let ours = cookie(headers, STATE_COOKIE);
        // A state is single-use.
        state.is_some()
            && ours.as_deref() == state
            && ours.and_then(|state| self.login_states.take(&state)) == handoff.biller
    }

    /// Starts a new session and redirects to the return target.
    fn sign_in(&self, headers: &HeaderMap, handoff: HandoffPayload) -> Response {
        if let Some(before) = cookie(headers, SESSION_COOKIE) {
            self.sessions.take(&before);
        }
        let target = handoff.return_to.as_deref().filter(|path| is_own_path(path)).unwrap_or("/").to_owned();
        let id = self.deps.random.token::<32>();
        self.sessions.insert(id.clone(), handoff);
        with_cookie(see_other(&target), SESSION_COOKIE, &id, "/")
    }

    /// The biller's name, or its slug if the name is unknown.
    fn biller_name<'a>(&'a self, handoff: &'a HandoffPayload) -> &'a str {
        let slug = handoff.biller.as_deref().unwrap_or("your biller");
        self.billers.iter().find(|(known, _)| known == slug).map_or(slug, |(_, name)| name)
    }

    /// Where to start again: at the biller of the token or of the browser's last sign-in, if known.
    fn restart_url(&self, headers: &HeaderMap, key: &str) -> String {
        let started = || cookie(headers, STATE_COOKIE).and_then(|state| self.login_states.get(&state));
        match self.redeemed_tokens.get(key).or_else(started) {
            Some(slug) => self.gateway.url(&format!("/b/{slug}")),
            None => self.gateway.url("/"),
        }
    }
}

/// Whether a return target stays on this site.
fn is_own_path(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}
