//! `{issuer}/oidc/logout`: RP-initiated logout.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawForm, State};
use axum::http::HeaderMap;
use axum::response::Response;
use url::Url;

use super::{Issuer, SecureAuthStandIn, pages};
use crate::web::{Fields, cookie, see_other, without_cookie};

/// `GET` and `POST`: ends this browser's session, then goes where the client registered.
pub(super) async fn end_session(
    State(standin): State<SecureAuthStandIn>,
    Extension(issuer): Extension<Arc<Issuer>>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let fields = Fields::parse(&form);
    let cookie_name = issuer.session_cookie();
    if let Some(session) = cookie(&headers, &cookie_name) {
        issuer.sessions.take(&session);
    }
    let response = match destination(&standin, &issuer, &fields).await {
        Some(url) => see_other(url.as_str()),
        None => pages::signed_out(&issuer),
    };
    without_cookie(response, &cookie_name, &issuer.path)
}

/// Where to go: only with a known client, and only to one of its registered addresses.
async fn destination(standin: &SecureAuthStandIn, issuer: &Arc<Issuer>, fields: &Fields) -> Option<Url> {
    let hinted = match fields.get("id_token_hint") {
        Some(hint) => issuer.key().await.verify(hint).and_then(|claims| claims["aud"].as_str().map(str::to_owned)),
        None => None,
    };
    let named = [hinted.as_deref(), fields.get("client_id")];
    // Whoever is named must be the one client; a hint that cannot be verified names nobody.
    let named: Vec<&str> = named.into_iter().flatten().collect();
    let first = *named.first()?;
    if named.iter().any(|other| *other != first) {
        return None;
    }
    let client = standin.0.api.oidc_client(&issuer.id, first)?;
    let uri = fields.get("post_logout_redirect_uri")?;
    if !client.post_logout_redirect_uris.iter().any(|registered| registered == uri) {
        return None;
    }
    let mut url = Url::parse(uri).ok()?;
    if let Some(state) = fields.get("state") {
        url.query_pairs_mut().append_pair("state", state);
    }
    Some(url)
}
