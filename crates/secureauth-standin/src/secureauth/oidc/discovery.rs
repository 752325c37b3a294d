//! What an issuer publishes about itself.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use crate::secureauth::state::issuer::Issuer;

/// `GET {issuer}/.well-known/openid-configuration`
pub(crate) async fn configuration(Extension(issuer): Extension<Arc<Issuer>>) -> Response {
    let url = &issuer.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/oauth2/authorize"),
        "token_endpoint": format!("{url}/oauth2/token"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "jwks_uri": format!("{url}/.well-known/jwks.json"),
        "end_session_endpoint": format!("{url}/oidc/logout"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "prompt_values_supported": ["none", "login"],
        "scopes_supported": ["openid", "profile", "email"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid", "amr", "at_hash",
            "preferred_username", "name", "email", "email_verified",
        ],
    }))
    .into_response()
}

/// `GET {issuer}/.well-known/jwks.json`
pub(crate) async fn jwks(Extension(issuer): Extension<Arc<Issuer>>) -> Response {
    Json(json!({ "keys": [issuer.key().await.jwk()] })).into_response()
}
