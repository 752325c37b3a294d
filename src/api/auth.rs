//! API keys, presented as `Authorization: Bearer` and nowhere else.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use signpost_core::scope::RequiredScope;

use super::problem::problem;
use crate::access::{ApiKey, KeyError, Scope};
use crate::audit::ActorContext;
use crate::state::AppState;
use crate::web::HttpError;

/// The API key of a request, which has the scope `S`. As the first argument of a handler it is checked before anything else
/// of the request is looked at.
pub(super) struct ApiKeyFor<S> {
    key: ApiKey,
    actor_context: ActorContext,
    scope: PhantomData<S>,
}

impl<S> Deref for ApiKeyFor<S> {
    type Target = ApiKey;

    fn deref(&self) -> &ApiKey {
        &self.key
    }
}

impl<S> ApiKeyFor<S> {
    pub(super) fn into_key(self) -> ApiKey {
        self.key
    }

    /// Who acts in this request, and when, for the audit trail.
    pub(super) fn actor_context(&self) -> &ActorContext {
        &self.actor_context
    }
}

impl<S: RequiredScope> FromRequestParts<AppState> for ApiKeyFor<S> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, HttpError> {
        let key = require(state, &parts.headers, S::SCOPE).await?;
        let actor_context = state.actor_context(key.actor());
        Ok(Self { key, actor_context, scope: PhantomData })
    }
}

/// Authenticates the request's key and checks that it has a scope.
async fn require(state: &AppState, headers: &HeaderMap, scope: Scope) -> Result<ApiKey, HttpError> {
    let unauthorized = |code, detail| problem(StatusCode::UNAUTHORIZED, code, detail);
    let missing = || unauthorized("api_key_missing", "Send an API key in the header `Authorization: Bearer <key>`.");
    let invalid = || unauthorized("api_key_invalid", "The API key is malformed, unknown, expired or revoked.");
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let line = lines.next().ok_or_else(missing)?.to_str().map_err(|_| invalid())?;
    let (scheme, key) = line.split_once(' ').ok_or_else(invalid)?;
    if lines.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") {
        return Err(invalid());
    }
    let key = match state.api_keys.authenticate(key.trim()).await {
        Ok(key) => key,
        Err(KeyError::Db(error)) => {
            // Handoffs to the legacy login are redeemed without the database as well.
            let is_possible = scope == Scope::HandoffRedeem && error.is_unreachable();
            let known = is_possible.then(|| state.api_keys.authenticate_offline(key.trim())).flatten();
            known.ok_or_else(|| HttpError::from(error))?
        }
        Err(_) => return Err(invalid()),
    };
    if !key.allows(scope) {
        let detail = format!("The API key does not have the scope `{}`.", scope.as_str());
        return Err(problem(StatusCode::FORBIDDEN, "insufficient_scope", &detail));
    }
    Ok(key)
}
