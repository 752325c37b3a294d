//! Requests of the authorization endpoint (RFC 6749, section 4.1.1): validation and the redirect that answers them.

use axum::http::StatusCode;
use axum::response::Response;
use url::Url;

use crate::html::{SECUREAUTH, notice, page};
use crate::secureauth::api::oidc_client;
use crate::secureauth::config::IssuerState;
use crate::secureauth::oauth::is_valid_pkce_value;
use crate::secureauth::state::issuer::Issuer;
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::web::{Fields, see_other};

/// An authentication request from a known client with a registered redirect URI.
pub(crate) struct AuthorizeRequest {
    pub client_id: String,
    pub redirect_uri: Url,
    /// As sent and registered. The parsed form may be spelled differently.
    pub redirect_uri_text: String,
    pub scope: String,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub challenge: String,
    pub prompt_none: bool,
}

impl AuthorizeRequest {
    /// Hidden fields that carry the request through the form.
    pub(crate) fn fields(&self) -> Vec<(&'static str, &str)> {
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

/// Checks a request. Errors found before the redirect URI is trusted give a page, never a redirect.
pub(crate) fn validate_request(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    fields: &Fields,
) -> Result<AuthorizeRequest, Box<Response>> {
    if issuer.state() == IssuerState::Deactivated {
        let text = format!("{} is not available for sign-in at the moment.", issuer.name());
        return Err(Box::new(error_page(StatusCode::FORBIDDEN, "Organization not available", &text)));
    }
    let page = |text: &str| Box::new(error_page(StatusCode::BAD_REQUEST, "This sign-in request is not valid", text));
    let named = fields.get("client_id").filter(|_| !fields.is_repeated("client_id"));
    let Some(client) = named.and_then(|id| oidc_client(standin.api(), &issuer.id, id, standin.now())) else {
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

/// Errors are an error code and a description.
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

/// Parameters of an error response. `error_hint` is the vendor's addition.
pub(crate) fn error(code: &'static str, description: &'static str) -> [(&'static str, &'static str); 3] {
    [("error", code), ("error_description", description), ("error_hint", description)]
}

fn error_page(status: StatusCode, title: &str, text: &str) -> Response {
    page(&SECUREAUTH, status, title, &notice(text))
}

/// Redirects to the client with state and issuer (RFC 9207).
pub(crate) fn redirect_to_client(
    issuer: &Issuer,
    redirect_uri: &Url,
    state: Option<&str>,
    parameters: &[(&str, &str)],
) -> Response {
    let mut url = redirect_uri.clone();
    url.query_pairs_mut()
        .extend_pairs(parameters)
        .extend_pairs(state.map(|state| ("state", state)))
        .append_pair("iss", &issuer.url);
    see_other(url.as_str())
}
