//! The hosted pages.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::authorize_request::AuthorizeRequest;
use crate::html::{SECUREAUTH, credential_fields, escape, hidden_fields, notice, page};
use crate::secureauth::state::issuer::Issuer;
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::web::cookie;

/// The sign-in page. Its form carries the request.
pub(crate) fn sign_in(issuer: &Issuer, request: &AuthorizeRequest, username: &str, problem: Option<&str>) -> Response {
    let body = format!(
        "{problem}<form method=\"post\" action=\"{path}/oauth2/authorize\">\n{request_fields}{fields}\
         <button>Sign in</button>\n\
         <button class=\"second\" name=\"action\" value=\"cancel\" formnovalidate>Cancel</button>\n</form>\n",
        problem = problem.map(notice).unwrap_or_default(),
        path = escape(&issuer.path),
        request_fields = hidden_fields(&request.fields()),
        fields = credential_fields(username),
    );
    page(&SECUREAUTH, StatusCode::OK, &format!("Sign in to {}", issuer.name()), &body)
}

/// The page that asks for a new password, twice.
pub(crate) fn new_password(
    issuer: &Issuer,
    request: &AuthorizeRequest,
    ticket: &str,
    problem: Option<&str>,
) -> Response {
    let field = |name: &str, label: &str| {
        format!(
            "<label for=\"{name}\">{label}</label>\n\
             <input id=\"{name}\" name=\"{name}\" type=\"password\" autocomplete=\"new-password\" required>\n"
        )
    };
    let body = format!(
        "{problem}<form method=\"post\" action=\"{path}/oauth2/authorize\">\n{request_fields}{ticket}{first}{second}\
         <button name=\"action\" value=\"set-password\">Set password and sign in</button>\n\
         <button class=\"second\" name=\"action\" value=\"cancel\" formnovalidate>Cancel</button>\n</form>\n",
        problem = problem.map(notice).unwrap_or_default(),
        path = escape(&issuer.path),
        request_fields = hidden_fields(&request.fields()),
        ticket = hidden_fields(&[("ticket", ticket)]),
        first = field("new_password", "New password"),
        second = field("new_password_again", "New password, once more"),
    );
    page(&SECUREAUTH, StatusCode::OK, "You need to set a new password", &body)
}

/// The page after a logout without a redirect.
pub(crate) fn signed_out(issuer: &Issuer) -> Response {
    let body = format!("<p>You have left {}. You can close this page.</p>\n", escape(&issuer.name()));
    page(&SECUREAUTH, StatusCode::OK, "You are signed out", &body)
}

/// `GET {issuer}/`: the user who is signed in, in this browser.
pub(crate) async fn account(
    State(standin): State<SecureAuthStandIn>,
    Extension(issuer): Extension<Arc<Issuer>>,
    headers: HeaderMap,
) -> Response {
    let session = cookie(&headers, &issuer.session_cookie())
        .and_then(|id| issuer.sessions.get(&id))
        .filter(|session| standin.now() < session.expires);
    let who = match session {
        Some(session) => format!("Signed in as {}", escape(&session.username)),
        None => "Not signed in".to_owned(),
    };
    page(&SECUREAUTH, StatusCode::OK, &format!("{} account", issuer.name()), &format!("<p id=\"account\">{who}</p>\n"))
}
