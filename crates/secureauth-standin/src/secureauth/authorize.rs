//! `{issuer}/oauth2/authorize`: checking the request, the sign-in page, and what its form answers.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use url::Url;

use super::api::{AuditEvent, record_event};
use super::tokens::{Grant, is_valid_pkce_value};
use super::{Account, Issuer, IssuerState, SESSION_LIFETIME, SecureAuthStandIn, Session, new_password, pages};
use crate::passwords;
use crate::web::{Fields, cookie, see_other, with_cookie};

/// One text for every way to be wrong.
const INVALID_CREDENTIALS: &str = "The username or password is not right.";

/// An authentication request that may be answered by a redirect.
pub(super) struct AuthorizeRequest {
    client_id: String,
    redirect_uri: Url,
    /// As sent and registered: the parsed form may be written differently.
    redirect_uri_text: String,
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    challenge: String,
    prompt_none: bool,
}

impl AuthorizeRequest {
    /// The request as hidden fields of the form.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let mut fields = vec![
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", &self.redirect_uri_text),
            ("response_type", "code"),
            ("scope", &self.scope),
            ("code_challenge", &self.challenge),
            ("code_challenge_method", "S256"),
        ];
        fields.extend(self.state.as_deref().map(|state| ("state", state)));
        fields.extend(self.nonce.as_deref().map(|nonce| ("nonce", nonce)));
        fields
    }
}

/// `GET`: the sign-in page. It waits for the user, also for one who is signed in already.
pub(super) async fn sign_in_page(
    State(standin): State<SecureAuthStandIn>,
    Extension(issuer): Extension<Arc<Issuer>>,
    RawForm(query): RawForm,
) -> Response {
    let fields = Fields::parse(&query);
    match validate_request(&standin, &issuer, &fields) {
        Err(response) => *response,
        Ok(request) if request.prompt_none => redirect_to_client(
            &issuer,
            &request.redirect_uri,
            request.state.as_deref(),
            &error("login_required", "sign-in is needed"),
        ),
        Ok(request) => pages::sign_in(&issuer, &request, fields.get("login_hint").unwrap_or_default(), None),
    }
}

/// `POST`: the page's form.
pub(super) async fn submit(
    State(standin): State<SecureAuthStandIn>,
    Extension(issuer): Extension<Arc<Issuer>>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let fields = Fields::parse(&form);
    let request = match validate_request(&standin, &issuer, &fields) {
        Ok(request) => request,
        Err(response) => return *response,
    };
    if fields.get("action") == Some("cancel") {
        let denied = error("access_denied", "the user cancelled");
        return redirect_to_client(&issuer, &request.redirect_uri, request.state.as_deref(), &denied);
    }
    if fields.get("action") == Some("set-password") {
        return new_password::submit(&standin, &issuer, &headers, request, &fields).await;
    }
    let typed = fields.get("username").unwrap_or_default().trim();
    let password = fields.get("password").unwrap_or_default();
    if issuer.users.contains_key(&typed.to_lowercase()) {
        // The one password of the constructor's users.
        let right = passwords::verify(&standin.0.password_hash, password).await;
        return match issuer.users.get(&typed.to_lowercase()) {
            Some(account) if right => complete_sign_in(&standin, &issuer, &headers, request, account),
            _ => pages::sign_in(&issuer, &request, typed, Some(INVALID_CREDENTIALS)),
        };
    }
    let found = standin.0.api.find_pool_user(&issuer.id, typed, standin.now());
    // A password is checked also for a name that nobody has: both take as long.
    let hash = found.as_ref().and_then(|found| found.hash.clone());
    let right = passwords::verify(hash.as_ref().unwrap_or(&standin.0.password_hash), password).await;
    if let Some(found) = &found {
        let succeeded = right && found.hash.is_some() && !found.needs_new_password(right);
        let action = if succeeded { "succeeded" } else { "failed" };
        let (server, pool, user) = (issuer.id.as_str(), found.pool.as_str(), found.user.as_str());
        record_event(&standin, &AuditEvent { server, subject: "login", action, pool, user, correlation: None });
    }
    match found {
        Some(found) if found.needs_new_password(right) => {
            new_password::render(&standin, &issuer, &request, &found, None)
        }
        Some(found) if right && found.hash.is_some() => {
            complete_sign_in(&standin, &issuer, &headers, request, &found.account)
        }
        _ => pages::sign_in(&issuer, &request, typed, Some(INVALID_CREDENTIALS)),
    }
}

/// Remembers the browser and sends it back with a code.
pub(super) fn complete_sign_in(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    headers: &HeaderMap,
    request: AuthorizeRequest,
    account: &Account,
) -> Response {
    let (now, random) = (standin.now(), &standin.0.deps.random);
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

/// Checks a request. What is wrong before the redirect URI is trusted gives a page, never a redirect.
fn validate_request(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    fields: &Fields,
) -> Result<AuthorizeRequest, Box<Response>> {
    if issuer.state() == IssuerState::Deactivated {
        let text = format!("{} is not available for sign-in at the moment.", issuer.name());
        return Err(Box::new(pages::error_page(StatusCode::FORBIDDEN, "Organization not available", &text)));
    }
    let page =
        |text: &str| Box::new(pages::error_page(StatusCode::BAD_REQUEST, "This sign-in request is not valid", text));
    let named = fields.get("client_id").filter(|_| !fields.is_repeated("client_id"));
    let Some(client) = named.and_then(|id| standin.0.api.oidc_client(&issuer.id, id)) else {
        return Err(page("The client is not known here."));
    };
    let registered = |uri: &&str| client.redirect_uris.iter().any(|known| known == uri);
    let Some(uri) = fields.get("redirect_uri").filter(registered).filter(|_| !fields.is_repeated("redirect_uri"))
    else {
        return Err(page("The redirect_uri is not registered."));
    };
    let Ok(redirect_uri) = Url::parse(uri) else {
        return Err(page("The redirect_uri is not an address."));
    };
    let state = fields.get("state");
    if let Err((code, description)) = validate_parameters(fields) {
        return Err(Box::new(redirect_to_client(issuer, &redirect_uri, state, &error(code, description))));
    }
    let owned = |name| fields.get(name).map(str::to_owned);
    Ok(AuthorizeRequest {
        client_id: client.id.clone(),
        redirect_uri,
        redirect_uri_text: uri.to_owned(),
        scope: owned("scope").unwrap_or_default(),
        state: owned("state"),
        nonce: owned("nonce"),
        challenge: owned("code_challenge").unwrap_or_default(),
        prompt_none: fields.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|one| one == "none")),
    })
}

/// What is wrong with the request, as error code and description.
fn validate_parameters(fields: &Fields) -> Result<(), (&'static str, &'static str)> {
    const SINGLE_VALUED: [&str; 8] = [
        "response_type",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "response_mode",
        "prompt",
    ];
    if SINGLE_VALUED.iter().any(|name| fields.is_repeated(name)) {
        return Err(("invalid_request", "a parameter is sent twice"));
    }
    if fields.get("request").is_some() {
        return Err(("request_not_supported", "request objects are not supported"));
    }
    if fields.get("request_uri").is_some() {
        return Err(("request_uri_not_supported", "request_uri is not supported"));
    }
    match fields.get("response_type") {
        Some("code") => {}
        Some(_) => return Err(("unsupported_response_type", "the response_type must be code")),
        None => return Err(("invalid_request", "the response_type is missing")),
    }
    if fields.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "the response_mode must be query"));
    }
    if !fields.get("scope").is_some_and(|scope| scope.split(' ').any(|one| one == "openid")) {
        return Err(("invalid_scope", "the scope must hold openid"));
    }
    let challenge_fits = fields.get("code_challenge").is_some_and(is_valid_pkce_value);
    if !challenge_fits || fields.get("code_challenge_method") != Some("S256") {
        return Err(("invalid_request", "PKCE with S256 is required"));
    }
    Ok(())
}

/// An error answer; `error_hint` is the vendor's own addition.
fn error(code: &'static str, description: &'static str) -> [(&'static str, &'static str); 3] {
    [("error", code), ("error_description", description), ("error_hint", description)]
}

/// 303 to the client, with state and issuer (RFC 9207).
fn redirect_to_client(issuer: &Issuer, redirect_uri: &Url, state: Option<&str>, answer: &[(&str, &str)]) -> Response {
    let mut url = redirect_uri.clone();
    url.query_pairs_mut()
        .extend_pairs(answer)
        .extend_pairs(state.map(|state| ("state", state)))
        .append_pair("iss", &issuer.url);
    see_other(url.as_str())
}
