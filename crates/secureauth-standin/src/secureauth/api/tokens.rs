//! `POST /{tenant}/{system or admin}/oauth2/token`: access tokens of the API.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::secureauth::oauth::{TOKEN_LIFETIME, basic_credentials, constant_time_eq};
use crate::secureauth::response::{ApiError, not_found};
use crate::secureauth::state::api::{ApiToken, Workspace};
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::store::lock;
use crate::web::{Fields, no_store};

const SCOPES: [&str; 8] = [
    "identity",
    "identity_self_registration",
    "manage_clients",
    "manage_configuration",
    "read_configuration",
    "revoke_tokens",
    "view_audit_events",
    "view_clients",
];

pub(crate) fn workspace(segment: &str) -> Option<Workspace> {
    match segment {
        "system" => Some(Workspace::System),
        "admin" => Some(Workspace::Admin),
        _ => None,
    }
}

/// The client credentials grant. A request without a scope gets every scope.
pub(crate) fn exchange(
    standin: &SecureAuthStandIn,
    workspace: Workspace,
    headers: &HeaderMap,
    form: &[u8],
) -> Response {
    let api = standin.api();
    let client = api.service_clients.as_ref().and_then(|clients| match workspace {
        Workspace::System => clients.system.as_ref(),
        Workspace::Admin => clients.admin.as_ref(),
    });
    let Some(client) = client else {
        return not_found("no such workspace");
    };
    let fields = Fields::parse(form);
    let sent = match headers.get(header::AUTHORIZATION) {
        Some(value) => value.to_str().ok().and_then(basic_credentials),
        None => fields.get("client_id").zip(fields.get("client_secret")).map(|(id, key)| (id.into(), key.into())),
    };
    if !sent.is_some_and(|(id, secret)| id == client.id && constant_time_eq(&secret, &client.secret)) {
        return error_response(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "the client is unknown or its secret is wrong",
        );
    }
    if fields.get("grant_type") != Some("client_credentials") {
        return error_response(StatusCode::BAD_REQUEST, "unsupported_grant_type", "only client_credentials");
    }
    let scope = fields.get("scope").map_or_else(|| SCOPES.join(" "), str::to_owned);
    if scope.split_whitespace().any(|one| !SCOPES.contains(&one)) {
        return error_response(StatusCode::BAD_REQUEST, "invalid_scope", "a scope is not known");
    }
    let token = standin.random().token::<32>();
    let expires = standin.now().plus(TOKEN_LIFETIME);
    let entry = ApiToken { workspace, scope: scope.clone(), expires, generation: api.faults.generation() };
    lock(&api.tokens).insert(token.clone(), entry);
    let answer = json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": TOKEN_LIFETIME.as_secs(),
        "scope": scope,
    });
    no_store(Json(answer).into_response())
}

fn error_response(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({
        "error": error,
        "error_description": description,
        "error_hint": description,
        "status_code": status.as_u16(),
    });
    no_store((status, Json(body)).into_response())
}

/// The scopes of the request's bearer token, if it is valid in this workspace.
pub(crate) fn check(
    standin: &SecureAuthStandIn,
    workspace: Workspace,
    headers: &HeaderMap,
) -> Result<String, ApiError> {
    let api = standin.api();
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let (now, generation) = (standin.now(), api.faults.generation());
    sent.and_then(|token| {
        let tokens = lock(&api.tokens);
        let live =
            |token: &&ApiToken| token.workspace == workspace && now < token.expires && token.generation == generation;
        tokens.get(token).filter(live).map(|token| token.scope.clone())
    })
    .ok_or_else(ApiError::invalid_token)
}
