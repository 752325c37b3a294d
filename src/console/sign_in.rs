//! Staff sign in at a provider of their own (OpenID Connect Core, section 3.1), through the same code as customers' sign-ins.
//!
//! The session's cookie is `SameSite=Strict`: a browser that comes back from the provider does not bring it, also not through
//! a redirect. So the callback answers a page that goes on by itself, which is a step of our own site.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;

use super::pages::{ContinuePage, ErrorPage, NoRolePage, SignedOutPage};
use super::staff::{Role, Staff};
use super::{Console, respond};
use crate::handoffs::TokenKind;
use crate::secureauth::{self, ProviderError};
use crate::web::extract::{Query, StrictQuery};
use crate::web::{HttpError, cookies, paths};
use signpost_core::paths::LocalAddress;
use signpost_core::{Locale, Purpose, Timestamp};

/// Where signing in begins.
pub(super) const SIGN_IN: &str = "/sign-in";
/// Where the provider sends the browser back.
pub(super) const CALLBACK: &str = "/callback";
/// Signing out.
pub(super) const SIGN_OUT: &str = "/sign-out";

/// The cookie of a sign-in under way. `Lax`: the request from the provider must carry it.
const COOKIE: &str = "__Host-staff-t";
const REQUEST_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// No address of ours is longer, a sealed question included.
const MAX_NEXT: usize = 6 * 1024;
/// As long as names in the audit trail need to be.
const MAX_NAME: usize = 100;

/// A sign-in under way.
#[derive(Serialize, Deserialize)]
struct AuthorizationRequest {
    id: String,
    nonce: String,
    verifier: String,
    at: Timestamp,
    next: LocalAddress,
    needs_iss: bool,
    token_endpoint: Url,
}

/// The address that signs in and then goes on to `next`.
pub(super) fn url_for(next: &LocalAddress) -> String {
    if *next == LocalAddress::root() { SIGN_IN.to_owned() } else { paths::with_query(SIGN_IN, "next", next.as_str()) }
}

/// `GET /`
pub(super) async fn home() -> Redirect {
    Redirect::to("/simulate")
}

/// `GET /sign-in`: to the staff's provider.
pub(super) async fn begin(
    State(console): State<Console>,
    Query(fields): Query,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    if headers.get("sec-purpose").is_some_and(|purpose| purpose.as_bytes().starts_with(b"prefetch")) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let registration = console.registration().ok_or_else(|| unavailable("cannot read the client secret"))?;
    let random = &console.app.random;
    let (id, nonce, verifier) = (random.token::<16>(), random.token::<24>(), random.token::<48>());
    let secrets = secureauth::AuthorizationSecrets { nonce: &nonce, pkce_verifier: &verifier };
    let wanted = secureauth::RequestParams { state: &id, login_hint: None, locale: Locale::English };
    let result = console.app.providers.authorization_url(&registration, secrets, wanted).await;
    let (address, provider, _) = result.map_err(|error| unavailable(error.reason()))?;
    let request = AuthorizationRequest {
        id,
        nonce,
        verifier,
        at: console.app.clock.now(),
        next: next_page(fields.get("next")),
        needs_iss: provider.sends_iss(),
        token_endpoint: provider.token_endpoint().clone(),
    };
    let mut response = Redirect::to(address.as_str()).into_response();
    let sealed = console.app.keys.seal(Purpose::AuthorizationRequest, COOKIE, &request);
    cookies::add(response.headers_mut(), [cookies::set(COOKIE, sealed, REQUEST_LIFETIME)]);
    Ok(response)
}

/// `GET /callback`. As at customers' sign-ins: first what needs no call, then the attempt is used up, then the code is sent.
pub(super) async fn finish(
    State(console): State<Console>,
    query: Result<StrictQuery, HttpError>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let mut response = match complete_sign_in(&console, &headers, query.ok()).await? {
        SignInOutcome::SignedIn { cookie, to } => {
            let mut response = respond::page(&console, None, StatusCode::OK, |chrome| ContinuePage { chrome, to })?;
            cookies::add(response.headers_mut(), [cookie]);
            response
        }
        SignInOutcome::NoRole(name) => {
            let roles = Role::ALL.map(Role::as_str);
            respond::page(&console, None, StatusCode::FORBIDDEN, |chrome| NoRolePage { chrome, name, roles })?
        }
        SignInOutcome::Rejected(reason) => {
            tracing::warn!(reason, "a sign-in of staff was refused");
            let detail = Some(format!("Reason: {reason}"));
            let (title, text) = ("You are not signed in", "Sign-in failed. Open the console and try again.");
            respond::page(&console, None, StatusCode::BAD_REQUEST, |chrome| ErrorPage { chrome, title, text, detail })?
        }
    };
    cookies::add(response.headers_mut(), [cookies::remove(COOKIE)]);
    Ok(response)
}

/// How a sign-in ended.
enum SignInOutcome {
    SignedIn { cookie: String, to: LocalAddress },
    NoRole(String),
    Rejected(&'static str),
}

async fn complete_sign_in(
    console: &Console,
    headers: &HeaderMap,
    query: Option<StrictQuery>,
) -> Result<SignInOutcome, HttpError> {
    let state = &console.app;
    let Some(StrictQuery(fields)) = query else { return Ok(SignInOutcome::Rejected("malformed_request")) };
    let cookie = cookies::get(headers, COOKIE);
    let request = cookie.and_then(|cookie| {
        state.keys.open::<AuthorizationRequest>(Purpose::AuthorizationRequest, COOKIE, cookie.value()).ok()
    });
    let Some(request) = request.filter(|request| request.at.plus(REQUEST_LIFETIME) > state.clock.now()) else {
        return Ok(SignInOutcome::Rejected("authorization_request_not_found"));
    };
    let Some(registration) = console.registration() else { return Err(unavailable("client_not_registered")) };
    let iss = fields.get("iss");
    let repeated = fields.has_duplicates(&["code", "state", "iss", "error"]);
    if repeated || fields.get("state") != Some(&request.id) {
        return Ok(SignInOutcome::Rejected("invalid_state"));
    }
    if iss.is_some_and(|iss| iss != registration.issuer) || (request.needs_iss && iss.is_none()) {
        return Ok(SignInOutcome::Rejected("invalid_issuer"));
    }
    if fields.has("error") {
        return Ok(SignInOutcome::Rejected("provider_denied"));
    }
    let Some(code) = fields.get("code") else { return Ok(SignInOutcome::Rejected("code_missing")) };
    if !state.consumed_tokens().consume(TokenKind::StaffAuthorizationRequest, &request.id).await? {
        return Ok(SignInOutcome::Rejected("already_used"));
    }
    let secrets = secureauth::AuthorizationSecrets { nonce: &request.nonce, pkce_verifier: &request.verifier };
    let sign_in = match state.providers.redeem(&registration, &request.token_endpoint, secrets, code.to_owned()).await {
        Ok(sign_in) => sign_in,
        Err(error @ (ProviderError::Unavailable(_) | ProviderError::Throttled { .. })) => {
            return Err(unavailable(error.reason()));
        }
        Err(error) => return Ok(SignInOutcome::Rejected(error.reason())),
    };
    let settings = console.settings();
    let named = sign_in.claim(&settings.name_claim).unwrap_or(&sign_in.subject);
    let name: String = named.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    let roles = Role::from_claim(&sign_in.string_list(&settings.role_claim), &settings.roles);
    if roles.is_empty() {
        return Ok(SignInOutcome::NoRole(name));
    }
    let staff = Staff { subject: sign_in.subject, name, roles };
    tracing::info!(roles = staff.role_names(), "staff signed in");
    Ok(SignInOutcome::SignedIn { cookie: console.begin_session(headers, &staff).await?, to: request.next })
}

/// `POST /sign-out`
pub(super) async fn sign_out(State(console): State<Console>, headers: HeaderMap) -> Result<Response, HttpError> {
    let removal = console.end_session(&headers).await?;
    let mut response = respond::page(&console, None, StatusCode::OK, |chrome| SignedOutPage { chrome })?;
    cookies::add(response.headers_mut(), [removal]);
    Ok(response)
}

/// A path of ours, whatever was asked for.
fn next_page(requested: Option<&str>) -> LocalAddress {
    let local = requested.filter(|next| next.len() <= MAX_NEXT).and_then(LocalAddress::parse);
    local.unwrap_or_else(LocalAddress::root)
}

fn unavailable(reason: &str) -> HttpError {
    tracing::error!(reason, "staff cannot sign in");
    let mut error = HttpError::from_status(StatusCode::SERVICE_UNAVAILABLE);
    error.detail = Some(format!("The staff identity provider is unavailable: {reason}."));
    error
}
