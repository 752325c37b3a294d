//! What is known of a sign-in under way, in two parts: a long-lived one that only says where to (it may be any age), and a
//! short-lived one that makes it safe (a cookie of this browser).

use std::time::Duration;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::state::AppState;
use crate::web::handoffs::FlowToken;
use crate::web::{cookies, paths};
use signpost_core::{Locale, Purpose, Slug, Timestamp, UsernameInput};

/// How long somebody may take at the identity provider.
pub(super) const FLOW_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// At most so many attempts at once in one browser; the oldest goes.
const MAX_PENDING_REQUESTS: usize = 5;
const COOKIE_PREFIX: &str = "__Host-t-";

/// The long-lived part. As a hint it stands in `/b/{slug}?h=`, within a sign-in it is the OAuth `state`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct LoginFlow {
    /// The language of the page it began on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The name typed, so that nobody types it twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A path of the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// What the portal passed when it started the visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_state: Option<String>,
    /// The decision's reference code.
    #[serde(default)]
    pub code: String,
    /// The attempt it belongs to, once there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub authorization_request_id: String,
    /// How often it was begun again by itself.
    #[serde(default)]
    pub restarts: u8,
    /// This device is to remember the biller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remember: bool,
}

impl LoginFlow {
    /// The name typed, as it was parsed before it was sealed.
    pub(super) fn name(&self) -> Option<UsernameInput> {
        self.name.as_deref().and_then(|name| UsernameInput::parse(name).ok())
    }

    /// What of it goes along to pages where the biller is asked for.
    pub(super) fn flow_token(&self) -> FlowToken {
        let (name, return_to) = (self.name.clone(), self.return_to.clone());
        FlowToken { locale: self.locale, name, return_to, ..FlowToken::default() }
    }

    /// The address that begins this flow anew, for somebody who clicks on it.
    pub(super) fn link(&self, state: &AppState, slug: &Slug) -> String {
        self.address(state, &paths::biller(slug), slug, 0)
    }

    /// The same for a redirect that we make by ourselves: it is counted, so that it cannot go on for ever.
    pub(super) fn restart(&self, state: &AppState, slug: &Slug) -> String {
        self.address(state, &paths::biller(slug), slug, self.restarts.saturating_add(1))
    }

    /// The address that goes on to the portal of a biller one is signed in at.
    pub(super) fn go(&self, state: &AppState, slug: &Slug) -> String {
        self.address(state, &paths::go(slug), slug, 0)
    }

    fn address(&self, state: &AppState, path: &str, slug: &Slug, restarts: u8) -> String {
        let hint = Self { authorization_request_id: String::new(), restarts, ..self.clone() };
        paths::with_query(path, "h", &state.keys.seal(Purpose::LoginHint, slug.as_str(), &hint))
    }

    /// Opens what [`LoginFlow::link`] and the others sealed.
    pub(super) fn open(state: &AppState, slug: &Slug, hint: &str) -> Option<Self> {
        state.keys.open(Purpose::LoginHint, slug.as_str(), hint).ok()
    }
}

/// A flow on its way through the identity provider: what the OAuth `state` seals.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OAuthState {
    /// The biller whose issuer was asked.
    pub slug: Slug,
    /// The flow.
    pub flow: LoginFlow,
}

/// The short-lived part: a cookie of this browser for each request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AuthorizationRequest {
    /// Id of the request.
    pub id: String,
    /// The biller.
    pub slug: Slug,
    /// The issuer the browser was sent to.
    pub issuer: String,
    /// The answer must carry `iss` (RFC 9207).
    pub needs_iss: bool,
    /// Ties the ID token to this request.
    pub nonce: String,
    /// PKCE.
    pub verifier: String,
    /// When it began.
    pub at: Timestamp,
}

impl AuthorizationRequest {
    /// A new attempt with secrets of its own.
    pub(super) fn new(state: &AppState, slug: &Slug, issuer: &str) -> Self {
        Self {
            id: state.random.token::<16>(),
            slug: slug.clone(),
            issuer: issuer.to_owned(),
            needs_iss: false,
            nonce: state.random.token::<24>(),
            verifier: state.random.token::<48>(),
            at: state.clock.now(),
        }
    }

    /// `Set-Cookie` lines: this request, and the oldest ones out.
    pub(super) fn cookies(&self, state: &AppState, headers: &HeaderMap) -> Vec<String> {
        let name = cookie_name(&self.id);
        let value = state.keys.seal(Purpose::AuthorizationRequest, &name, self);
        let mut lines = vec![cookies::set(name, value, FLOW_TIMEOUT)];
        let mut others: Vec<(Timestamp, String)> = cookies::all(headers)
            .filter(|cookie| cookie.name().starts_with(COOKIE_PREFIX))
            .map(|cookie| {
                let read = state.keys.open::<Self>(Purpose::AuthorizationRequest, cookie.name(), cookie.value());
                (read.map_or(Timestamp::from_millis(0), |request| request.at), cookie.name().to_owned())
            })
            .collect();
        others.sort();
        let too_many = (others.len() + 1).saturating_sub(MAX_PENDING_REQUESTS);
        lines.extend(others.into_iter().take(too_many).map(|(_, name)| cookies::remove(name)));
        lines
    }

    /// The attempt with this id, from the cookie of this browser. A cookie that is changed, moved or there twice is none.
    pub(super) fn find(state: &AppState, headers: &HeaderMap, id: &str) -> Option<Self> {
        let name = cookie_name(id);
        let cookie = cookies::get(headers, &name)?;
        state
            .keys
            .open::<Self>(Purpose::AuthorizationRequest, &name, cookie.value())
            .ok()
            .filter(|request| request.id == id)
    }

    /// The `Set-Cookie` line that ends it.
    pub(super) fn removal_cookie(id: &str) -> String {
        cookies::remove(cookie_name(id))
    }

    /// Whether it is too old.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.at.plus(FLOW_TIMEOUT) <= now
    }
}

fn cookie_name(id: &str) -> String {
    // Ids are base64url, which may stand in a cookie's name; `get` because an id from outside may be anything.
    format!("{COOKIE_PREFIX}{}", id.get(..8).unwrap_or("none"))
}
