//! `/api/v1/keys`: API keys. Whoever holds one makes, sees and ends those that allow no more than its own.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::require;
use super::idempotency;
use super::json::read_json;
use super::problem::{problem, validation_failed};
use crate::access::{ApiKey, Audience, NewApiKey, Scope};
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::{Slug, Timestamp};

const MAX_NAME_BYTES: usize = 100;

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub(super) struct NewApiKeyRequest {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it allows.
    #[schema(min_items = 1)]
    scopes: Vec<String>,
    /// Only these billers; left out: all.
    #[serde(default)]
    billers: Option<Vec<Slug>>,
    /// Only hand-offs for this system: `legacy` or `portal`.
    #[serde(default)]
    audience: Option<String>,
    /// When it ends.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct ApiKeyResponse {
    /// The part of the key that is no secret.
    id: String,
    name: String,
    scopes: Vec<&'static str>,
    billers: Option<Vec<Slug>>,
    audience: Option<&'static str>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// To the minute.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

/// A key a moment after it was made.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedApiKey {
    /// The key itself, shown this once.
    key: String,
    #[serde(flatten)]
    api_key: ApiKeyResponse,
}

/// Keys, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct ApiKeyList {
    keys: Vec<ApiKeyResponse>,
}

/// List API keys
///
/// Those that allow no more than the one that asks, without their secrets.
#[utoipa::path(
    get, path = paths::API_KEYS, operation_id = "listApiKeys", tag = "API keys",
    security(("key" = [Scope::KeysWrite.as_str()])),
    responses((status = 200, description = "The keys.", body = ApiKeyList)),
)]
pub(super) async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<ApiKeyList>, HttpError> {
    let own = require(&state, &headers, Scope::KeysWrite).await?;
    let keys = state.api_keys.list().await?;
    Ok(Json(ApiKeyList { keys: keys.iter().filter(|key| own.covers(key)).map(response).collect() }))
}

/// Make an API key
///
/// The key is in the answer and is not shown again. With an `Idempotency-Key` a request makes one key, and a repetition is refused: the
/// secret is not kept, so it cannot be shown twice. It allows no more than the key that asks, and ends no later.
#[utoipa::path(
    post, path = paths::API_KEYS, operation_id = "createApiKey", tag = "API keys",
    request_body(content = NewApiKeyRequest, example = json!({ "name": "crm", "scopes": ["billers:read"], "billers": ["maple-electric"] })),
    security(("key" = [Scope::KeysWrite.as_str()])),
    responses(
        (status = 201, description = "The key.", body = CreatedApiKey, headers(("Location" = String))),
        (status = 403, description = "`api_key_restricted`: it would allow more than the key that asks, or longer."),
        (status = 409, description = "`already_created`: an earlier request made it, and was shown it."),
        (status = 422, description = "`validation_failed`: see `errors`."),
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    let own = require(&state, &headers, Scope::KeysWrite).await?;
    let idempotency_key = idempotency::key(&headers, &own, paths::API_KEYS, &read_json(&headers, &body)?)?;
    let new = parse_request(&state, &own, read_json(&headers, &body)?).await?;
    if !own.may_create(&new) {
        let detail = "A key makes no key with more scopes, billers or time than its own.";
        return Err(problem(StatusCode::FORBIDDEN, "api_key_restricted", detail));
    }
    let mut tx = state.db.begin().await?;
    if let Some(idempotency_key) = &idempotency_key
        && !idempotency_key.claim(&mut tx, state.clock.now()).await?
    {
        drop(tx);
        idempotency::replay(&state, idempotency_key).await?.ok_or_else(idempotency::in_progress)?;
        let detail =
            "An earlier request with this Idempotency-Key made the key, and was shown it. End it, and make another.";
        return Err(problem(StatusCode::CONFLICT, "already_created", detail));
    }
    let created = state.api_keys.create_in(&mut tx, &new, &state.actor_context(own.actor())).await?;
    if let Some(idempotency_key) = &idempotency_key {
        idempotency_key.store_response_in(&mut tx, StatusCode::CREATED.as_u16(), "").await?;
    }
    tx.commit().await?;
    let answer = CreatedApiKey { key: created.key, api_key: response(&created.record) };
    let location = format!("{}/{}", paths::API_KEYS, created.record.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(answer)).into_response())
}

/// End an API key
///
/// It is refused from the next request on.
#[utoipa::path(
    delete, path = paths::API_KEY, operation_id = "revokeApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The 12 characters after `sp_`.")),
    security(("key" = [Scope::KeysWrite.as_str()])),
    responses((status = 204, description = "It is ended.")),
)]
pub(super) async fn revoke(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, HttpError> {
    let own = require(&state, &headers, Scope::KeysWrite).await?;
    let not_found = || problem(StatusCode::NOT_FOUND, "not_found", "There is no such key.");
    let keys = state.api_keys.list().await?;
    let key = keys.iter().find(|key| key.id == id && own.covers(key)).ok_or_else(not_found)?;
    state.api_keys.revoke(&key.id, &state.actor_context(own.actor())).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn parse_request(state: &AppState, own: &ApiKey, request: NewApiKeyRequest) -> Result<NewApiKey, HttpError> {
    let mut errors = Vec::new();
    let name = request.name.trim().to_owned();
    if !(1..=MAX_NAME_BYTES).contains(&name.len()) || name.chars().any(char::is_control) {
        errors.push(("name", "1 to 100 printable characters".to_owned()));
    }
    let mut scopes: Vec<Scope> = request.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect();
    if scopes.len() < request.scopes.len() || scopes.is_empty() {
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        errors.push(("scopes", format!("one or more of {}", all.join(", "))));
    }
    scopes.sort_unstable();
    scopes.dedup();
    let known = state.directory.billers().await?;
    let is_visible = |slug: &Slug| own.permits_biller(slug) && known.by_slug(slug).is_some();
    let is_invalid = |slugs: &Vec<Slug>| slugs.is_empty() || !slugs.iter().all(is_visible);
    if request.billers.as_ref().is_some_and(is_invalid) {
        errors.push(("billers", "slugs of billers; left out: all".to_owned()));
    }
    let audience = request.audience.as_deref().map(Audience::parse);
    if audience == Some(None) {
        errors.push(("audience", "legacy or portal; left out: both".to_owned()));
    }
    let expires_at = request.expires_at.as_deref().map(Timestamp::parse_rfc3339);
    if expires_at.is_some_and(|at| at.is_none_or(|at| at <= state.clock.now())) {
        errors.push(("expires_at", "a time to come, such as 2027-01-01T00:00:00Z".to_owned()));
    }
    if !errors.is_empty() {
        return Err(validation_failed(errors));
    }
    let expires_at = expires_at.flatten();
    Ok(NewApiKey { name, scopes, audience: audience.flatten(), billers: request.billers, expires_at })
}

fn response(key: &ApiKey) -> ApiKeyResponse {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    ApiKeyResponse {
        id: key.id.clone(),
        name: key.name.clone(),
        scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
        billers: key.billers.clone(),
        audience: key.audience.map(Audience::as_str),
        created_at: key.created_at.to_string(),
        expires_at: time(key.expires_at),
        revoked_at: time(key.revoked_at),
        last_used_at: time(key.last_used_at),
    }
}
