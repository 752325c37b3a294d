//! `{issuer}/oauth2/token` and `{issuer}/userinfo`.

use std::sync::Arc;

use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::claims::{id_token_claims, user_claims};
use crate::secureauth::api::{OidcClient, configured_claims, oidc_client};
use crate::secureauth::oauth::{TOKEN_LIFETIME, basic_credentials, constant_time_eq};
use crate::secureauth::state::issuer::{AccessToken, Issuer};
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::web::{Fields, no_store};

/// Error code and description (RFC 6749, section 5.2).
type OAuthError = (&'static str, &'static str);

/// `POST {issuer}/oauth2/token`
pub(crate) async fn exchange(
    State(standin): State<SecureAuthStandIn>,
    Extension(issuer): Extension<Arc<Issuer>>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    match try_exchange(&standin, &issuer, &headers, &Fields::parse(&form)).await {
        Ok(response) => response,
        Err(error) => error_response(&issuer, error),
    }
}

async fn try_exchange(
    standin: &SecureAuthStandIn,
    issuer: &Arc<Issuer>,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<Response, OAuthError> {
    const SINGLE_VALUED: [&str; 6] =
        ["grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier"];
    if SINGLE_VALUED.iter().any(|name| fields.is_repeated(name)) {
        return Err(("invalid_request", "a parameter is sent twice"));
    }
    let client = authenticate(standin, issuer, headers, fields)?;
    match fields.get("grant_type") {
        Some("authorization_code") => {}
        Some(_) => return Err(("unsupported_grant_type", "the grant_type must be authorization_code")),
        None => return Err(("invalid_request", "the grant_type is missing")),
    }
    let code = fields.get("code").ok_or(("invalid_request", "the code is missing"))?;
    let now = standin.now();
    let (redirect_uri, verifier) = (fields.get("redirect_uri"), fields.get("code_verifier"));
    let grant = issuer
        .codes
        .redeem(code, &client.id, redirect_uri, verifier, now)
        .map_err(|description| ("invalid_grant", description))?;
    let access_token = standin.random().token::<32>();
    let access = AccessToken { account: grant.account.clone(), expires: now.plus(TOKEN_LIFETIME) };
    issuer.access_tokens.insert(access_token.clone(), access);
    let mut added = configured_claims(standin.api(), &issuer.id, &grant.scope, &grant.account.context);
    added.extend(standin.extra_claims(&issuer.id, &grant.account.user.username));
    let claims = id_token_claims(&issuer.url, &issuer.id, &grant, &access_token, added, now);
    let answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME.as_secs(),
        "scope": grant.scope,
        "id_token": issuer.key().await.sign(&claims),
    });
    Ok(no_store(Json(answer).into_response()))
}

/// Authenticates the client by `client_secret_basic` or `client_secret_post`, but not by both.
fn authenticate(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<OidcClient, OAuthError> {
    const INVALID: OAuthError = ("invalid_client", "the client is unknown or its secret is wrong");
    let in_form = fields.get("client_secret");
    let (id, secret) = match headers.get(header::AUTHORIZATION) {
        Some(_) if in_form.is_some() => return Err(("invalid_request", "the client authenticates in two ways")),
        Some(value) => value.to_str().ok().and_then(basic_credentials).ok_or(INVALID)?,
        None => {
            let id = fields.get("client_id").ok_or(INVALID)?;
            (id.to_owned(), in_form.ok_or(INVALID)?.to_owned())
        }
    };
    if fields.get("client_id").is_some_and(|named| named != id) {
        return Err(INVALID);
    }
    let client = oidc_client(standin.api(), &issuer.id, &id, standin.now()).ok_or(INVALID)?;
    let used = if headers.contains_key(header::AUTHORIZATION) { "client_secret_basic" } else { "client_secret_post" };
    let method_fits = client.auth_method.as_deref().is_none_or(|method| method == used);
    let secrets = std::iter::once(&client.secret).chain(&client.rotated_secrets);
    if method_fits && secrets.fold(false, |fits, known| fits | constant_time_eq(&secret, known)) {
        Ok(client)
    } else {
        Err(INVALID)
    }
}

fn error_response(issuer: &Issuer, (error, description): OAuthError) -> Response {
    let body = Json(json!({ "error": error, "error_description": description }));
    if error == "invalid_client" {
        let realm = format!("Basic realm=\"{}\"", issuer.id);
        return no_store((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, realm)], body).into_response());
    }
    no_store((StatusCode::BAD_REQUEST, body).into_response())
}

/// `GET` and `POST {issuer}/userinfo` with a bearer token (RFC 6750).
pub(crate) async fn userinfo(
    State(standin): State<SecureAuthStandIn>,
    Extension(issuer): Extension<Arc<Issuer>>,
    headers: HeaderMap,
) -> Response {
    let access = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, token)| issuer.access_tokens.get(token.trim()))
        .filter(|access| standin.now() < access.expires);
    match access {
        Some(access) => no_store(Json(user_claims(&issuer.id, &access.account)).into_response()),
        None => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            let body = Json(json!({ "error": "invalid_token" }));
            no_store((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], body).into_response())
        }
    }
}
