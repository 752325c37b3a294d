//! `{issuer}/oidc/logout`: RP-initiated logout.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawForm, State};
use axum::http::HeaderMap;
use axum::response::Response;
use url::Url;

use super::pages;
use crate::secureauth::api::oidc_client;
use crate::secureauth::state::issuer::Issuer;
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::web::{Fields, cookie, see_other, without_cookie};

/// `GET` and `POST`: ends the browser's session, then redirects to an address that the client registered.
pub(crate) async fn end_session(
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

/// None unless the client is known and registered the address.
async fn destination(standin: &SecureAuthStandIn, issuer: &Arc<Issuer>, fields: &Fields) -> Option<Url> {
    let hinted = match fields.get("id_token_hint") {
        Some(hint) => issuer.key().await.verify(hint).and_then(|claims| claims["aud"].as_str().map(str::to_owned)),
        None => None,
    };
    let named = [hinted.as_deref(), fields.get("client_id")];
    // The hint and `client_id` must name the same client. An invalid hint names none.
    let named: Vec<&str> = named.into_iter().flatten().collect();
    let first = *named.first()?;
    if named.iter().any(|other| *other != first) {
        return None;
    }
    let client = oidc_client(standin.api(), &issuer.id, first, standin.now())?;
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
