//! The end of a sign-in: a session and an authorization code.

use axum::http::HeaderMap;
use axum::response::Response;

use super::authorize_request::{AuthorizeRequest, redirect_to_client};
use crate::secureauth::state::account::Account;
use crate::secureauth::state::grants::Grant;
use crate::secureauth::state::issuer::{Issuer, SESSION_LIFETIME, Session};
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::web::{cookie, with_cookie};

/// Starts a session of the browser and redirects it to the client with an authorization code.
pub(crate) fn complete_sign_in(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    headers: &HeaderMap,
    request: AuthorizeRequest,
    account: &Account,
) -> Response {
    let (now, random) = (standin.now(), standin.random());
    let cookie_name = issuer.session_cookie();
    if let Some(before) = cookie(headers, &cookie_name) {
        issuer.sessions.take(&before);
    }
    let session_id = random.token::<32>();
    let session = Session { username: account.user.username.clone(), expires: now.plus(SESSION_LIFETIME) };
    issuer.sessions.insert(session_id.clone(), session);
    let grant = Grant {
        client_id: request.client_id,
        redirect_uri: request.redirect_uri_text,
        challenge: request.challenge,
        nonce: request.nonce,
        scope: request.scope,
        account: account.clone(),
        auth_time: now,
        sid: random.token::<16>(),
    };
    let code = issuer.codes.issue(grant, random);
    let response = redirect_to_client(issuer, &request.redirect_uri, request.state.as_deref(), &[("code", &code)]);
    with_cookie(response, &cookie_name, &session_id, &issuer.path)
}
