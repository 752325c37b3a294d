//! `/api/v1/keys`: API keys. A key creates, lists and revokes keys that allow no more than itself.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::ApiKeyFor;
use super::idempotency::{Attempt, Idempotency, IdempotencyKeyHeader};
use super::json::JsonBody;
use super::problem::{not_found, problem, validation_failed};
use crate::access::{ApiKey, ApiKeys, Audience, NewApiKey, Scope, scope};
use crate::directory::Directory;
use crate::web::{HttpError, paths};
use signpost_core::{Slug, Timestamp};

const MAX_NAME_BYTES: usize = 100;

/// An API key to create.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub(super) struct NewApiKeyRequest {
    /// What the key is for.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What the key allows.
    #[schema(min_items = 1)]
    scopes: Vec<String>,
    /// The billers that the key is limited to. Omit it for a key without a limit.
    #[serde(default)]
    billers: Option<Vec<Slug>>,
    /// The system whose handoff tokens the key may redeem: `legacy` or `portal`. Omit it for both.
    #[serde(default)]
    audience: Option<String>,
    /// When the key expires.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyResponse {
    /// The public part of the key.
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
    /// Accurate to the minute.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

/// A new API key, with its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedApiKey {
    /// The key itself. It cannot be retrieved again.
    pub key: String,
    #[serde(flatten)]
    pub api_key: ApiKeyResponse,
}

/// API keys, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyList {
    pub keys: Vec<ApiKeyResponse>,
}

/// List API keys
///
/// Returns the keys that allow no more than the requesting key, without their secrets.
#[utoipa::path(
    get, path = paths::API_KEYS, operation_id = "listApiKeys", tag = "API keys",
    security(("key" = [Scope::KeysWrite.as_str()])),
    responses((status = 200, description = "The keys.", body = ApiKeyList)),
)]
pub(super) async fn list(
    own: ApiKeyFor<scope::KeysWrite>,
    State(keys): State<ApiKeys>,
) -> Result<Json<ApiKeyList>, HttpError> {
    let keys = keys.list().await?;
    Ok(Json(ApiKeyList { keys: keys.iter().filter(|key| own.covers(key)).map(ApiKeyResponse::new).collect() }))
}

/// Create an API key
///
/// The response contains the key, which cannot be retrieved again. A repeated request with the same `Idempotency-Key` creates no
/// second key and gets 409, because the secret is stored as a hash only. The new key cannot have more scopes, billers or time than
/// the requesting key.
#[utoipa::path(
    post, path = paths::API_KEYS, operation_id = "createApiKey", tag = "API keys",
    request_body(content = NewApiKeyRequest, example = json!({ "name": "crm", "scopes": ["billers:read"], "billers": ["maple-electric"] })),
    security(("key" = [Scope::KeysWrite.as_str()])),
    responses(
        (status = 201, description = "The new API key.", body = CreatedApiKey, headers(("Location" = String, description = "The path of the key."))),
        (status = 403, description = "`api_key_restricted`: the new key would allow more than the requesting key, or expire later."),
        (status = 409, description = "`already_created`: an earlier request with this `Idempotency-Key` created the key."),
        (status = 422, description = "`validation_failed`: some fields are invalid; see `errors`."),
    ),
)]
pub(super) async fn create(
    own: ApiKeyFor<scope::KeysWrite>,
    State(keys): State<ApiKeys>,
    State(directory): State<Directory>,
    State(idempotency): State<Idempotency>,
    header: IdempotencyKeyHeader,
    JsonBody(request): JsonBody<NewApiKeyRequest>,
) -> Result<Response, HttpError> {
    let idempotency_key = header.key(&own, &request)?;
    let new = parse_request(&directory, &own, request).await?;
    if !own.may_create(&new) {
        let detail = "An API key cannot create a key with more scopes, billers or time than its own.";
        return Err(problem(StatusCode::FORBIDDEN, "api_key_restricted", detail));
    }
    let mut tx = match idempotency.begin(idempotency_key.as_ref()).await? {
        Attempt::First(tx) => tx,
        Attempt::Repeated(_) => {
            let detail = "An earlier request with this `Idempotency-Key` created the key and returned it. If you do not have \
                it, revoke that key and create another.";
            return Err(problem(StatusCode::CONFLICT, "already_created", detail));
        }
    };
    let created = keys.create_in(&mut tx, &new, own.actor_context()).await?;
    if let Some(idempotency_key) = &idempotency_key {
        idempotency_key.store_response_in(&mut tx, StatusCode::CREATED.as_u16(), "").await?;
    }
    tx.commit().await?;
    let location = format!("{}/{}", paths::API_KEYS, created.record.id);
    let body = CreatedApiKey { key: created.key, api_key: ApiKeyResponse::new(&created.record) };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(body)).into_response())
}

/// Revoke an API key
///
/// The key is rejected from the next request on.
#[utoipa::path(
    delete, path = paths::API_KEY, operation_id = "revokeApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The id of the key: the 12 characters after `sp_`.")),
    security(("key" = [Scope::KeysWrite.as_str()])),
    responses((status = 204, description = "The key is revoked.")),
)]
pub(super) async fn revoke(
    own: ApiKeyFor<scope::KeysWrite>,
    State(keys): State<ApiKeys>,
    Path(id): Path<String>,
) -> Result<StatusCode, HttpError> {
    let known = keys.list().await?;
    let key = known.iter().find(|key| key.id == id && own.covers(key)).ok_or_else(not_found)?;
    keys.revoke(&key.id, own.actor_context()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn parse_request(
    directory: &Directory,
    own: &ApiKeyFor<scope::KeysWrite>,
    request: NewApiKeyRequest,
) -> Result<NewApiKey, HttpError> {
    let mut errors = Vec::new();
    let name = request.name.trim().to_owned();
    if !(1..=MAX_NAME_BYTES).contains(&name.len()) || name.chars().any(char::is_control) {
        errors.push(("name", "must be 1 to 100 bytes of printable characters".to_owned()));
    }
    let mut scopes: Vec<Scope> = request.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect();
    if scopes.len() < request.scopes.len() || scopes.is_empty() {
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        errors.push(("scopes", format!("must be one or more of {}", all.join(", "))));
    }
    scopes.sort_unstable();
    scopes.dedup();
    let known = directory.billers().await?;
    let is_visible = |slug: &Slug| own.permits_biller(slug) && known.by_slug(slug).is_some();
    let is_invalid = |slugs: &Vec<Slug>| slugs.is_empty() || !slugs.iter().all(is_visible);
    if request.billers.as_ref().is_some_and(is_invalid) {
        errors.push(("billers", "must be slugs of existing billers; omit the field for all billers".to_owned()));
    }
    let audience = request.audience.as_deref().map(Audience::parse);
    if audience == Some(None) {
        errors.push(("audience", "must be legacy or portal; omit the field for both".to_owned()));
    }
    let expires_at = request.expires_at.as_deref().map(Timestamp::parse);
    if expires_at.is_some_and(|at| at.is_none_or(|at| at <= own.actor_context().now())) {
        errors.push(("expires_at", "must be a future time, such as 2027-01-01T00:00:00Z".to_owned()));
    }
    if !errors.is_empty() {
        return Err(validation_failed(errors));
    }
    let expires_at = expires_at.flatten();
    Ok(NewApiKey { name, scopes, audience: audience.flatten(), billers: request.billers, expires_at })
}

impl ApiKeyResponse {
    pub(crate) fn new(key: &ApiKey) -> Self {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
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
}
