//! A sign-in at an identity provider while it is pending, in two parts. The OAuth `state` says where the flow leads and never
//! expires. A cookie of this browser makes the sign-in secure and expires.

use std::time::Duration;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::handoffs::{Envelope, FlowContext};
use crate::web::cookies;
use signpost_core::{KeyRing, Purpose, Slug, Timestamp};

/// How long a customer may take at the identity provider.
pub(super) const FLOW_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// For one browser. One more replaces the oldest.
const MAX_PENDING_REQUESTS: usize = 5;
const COOKIE_PREFIX: &str = "__Host-t-";

/// The sealed content of the OAuth `state`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OAuthState {
    /// The biller that the request was made for.
    pub slug: Slug,
    pub authorization_request_id: String,
    pub flow: FlowContext,
}

impl OAuthState {
    pub(super) fn seal(&self, keys: &KeyRing) -> String {
        keys.seal(Purpose::OAuthState, "", self)
    }

    pub(super) fn open(keys: &KeyRing, token: &str) -> Option<Self> {
        keys.open(Purpose::OAuthState, "", token).ok()
    }
}

/// The sealed content of the cookie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AuthorizationRequest {
    pub slug: Slug,
    /// The issuer that the browser was sent to.
    pub issuer: String,
    /// Where the code will be redeemed.
    pub token_endpoint: Url,
    /// The response must carry `iss` (RFC 9207).
    pub needs_iss: bool,
    /// The response must come by form post, or by query.
    pub form_post: bool,
    pub nonce: String,
    pub pkce_verifier: String,
}

/// The `Set-Cookie` lines that add a request, and remove the oldest ones if there are too many.
pub(super) fn cookies(keys: &KeyRing, request: &Envelope<AuthorizationRequest>, headers: &HeaderMap) -> Vec<String> {
    let name = cookie_name(&request.id);
    let value = keys.seal(Purpose::AuthorizationRequest, &name, request);
    let mut lines = vec![cookies::set(name, value, FLOW_TIMEOUT)];
    let mut others: Vec<(Timestamp, String)> = cookies::all(headers)
        .filter(|cookie| cookie.name().starts_with(COOKIE_PREFIX))
        .map(|cookie| {
            let request = open(keys, cookie.name(), cookie.value());
            (request.map_or(Timestamp::from_millis(0), |request| request.at), cookie.name().to_owned())
        })
        .collect();
    others.sort();
    let excess = (others.len() + 1).saturating_sub(MAX_PENDING_REQUESTS);
    lines.extend(others.into_iter().take(excess).map(|(_, name)| cookies::remove(name)));
    lines
}

/// The request with this id, from a cookie of this browser. A cookie that was changed or moved, or that is there twice, does
/// not count.
pub(super) fn find(keys: &KeyRing, headers: &HeaderMap, id: &str) -> Option<Envelope<AuthorizationRequest>> {
    let name = cookie_name(id);
    let cookie = cookies::get(headers, &name)?;
    open(keys, &name, cookie.value()).filter(|request| request.id == id)
}

fn open(keys: &KeyRing, name: &str, value: &str) -> Option<Envelope<AuthorizationRequest>> {
    keys.open(Purpose::AuthorizationRequest, name, value).ok()
}

/// The `Set-Cookie` line that removes a request.
pub(super) fn removal_cookie(id: &str) -> String {
    cookies::remove(cookie_name(id))
}

fn cookie_name(id: &str) -> String {
    // Our ids are base64url, which is valid in a cookie's name. An id from outside may be anything, hence `get`.
    format!("{COOKIE_PREFIX}{}", id.get(..8).unwrap_or("none"))
}
