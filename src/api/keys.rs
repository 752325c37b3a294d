//! `/api/v1/keys`: API keys. Whoever holds one makes, sees and ends those that allow no more than its own.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::require;
use super::json::read_json;
use super::problem::{problem, wrong_fields};
use super::repeats;
use crate::access::{ApiKey, Audience, NewKey, Scope};
use crate::kernel::{Slug, Timestamp};
use crate::state::AppState;
use crate::web::{Refusal, paths};

const LONGEST_NAME: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    name: String,
    scopes: Vec<String>,
    #[serde(default)]
    billers: Option<Vec<Slug>>,
    #[serde(default)]
    audience: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    expires_at: Option<String>,
}

/// `GET`: the keys that the caller might have made, without their secrets.
pub(super) async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let own = require(&state, &headers, Scope::KeysWrite).await?;
    let keys = state.api_keys.list().await?;
    let shown: Vec<Value> = keys.iter().filter(|key| own.covers(key)).map(shown).collect();
    Ok(Json(json!({ "keys": shown })))
}

/// `POST`: 201 with the key, which is not shown again. A request that is repeated with its `Idempotency-Key` makes no other,
/// and is not shown it.
pub(super) async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let own = require(&state, &headers, Scope::KeysWrite).await?;
    let once = repeats::once(&headers, &own, paths::API_KEYS, &read_json(&headers, &body)?)?;
    let new = read(&state, read_json(&headers, &body)?).await?;
    if !own.may_make(&new) {
        let detail = "A key makes no key with more scopes, billers or time than its own.";
        return Err(problem(StatusCode::FORBIDDEN, "key_limited", detail));
    }
    let mut tx = state.db.begin().await?;
    if let Some(once) = &once
        && !once.claim(&mut tx, state.clock.now()).await?
    {
        drop(tx);
        repeats::earlier(&state, once).await?.ok_or_else(repeats::in_progress)?;
        let detail =
            "An earlier request with this Idempotency-Key made the key, and was shown it. End it, and make another.";
        return Err(problem(StatusCode::CONFLICT, "shown_already", detail));
    }
    let made = state.api_keys.create_in(&mut tx, &new, &state.by(own.actor())).await?;
    if let Some(once) = &once {
        once.answer_in(&mut tx, StatusCode::CREATED.as_u16(), "").await?;
    }
    tx.commit().await?;
    let mut answer = shown(&made.kept);
    answer["key"] = json!(made.key);
    let place = format!("{}/{}", paths::API_KEYS, made.kept.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(answer)).into_response())
}

/// `DELETE …/{id}`: 204. The key is refused from the next request on.
pub(super) async fn revoke(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let own = require(&state, &headers, Scope::KeysWrite).await?;
    let unknown = || problem(StatusCode::NOT_FOUND, "not_found", "There is no such key.");
    let keys = state.api_keys.list().await?;
    let key = keys.iter().find(|key| key.id == id && own.covers(key)).ok_or_else(unknown)?;
    state.api_keys.revoke(&key.id, &state.by(own.actor())).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read(state: &AppState, request: Request) -> Result<NewKey, Refusal> {
    let mut wrong = Vec::new();
    let name = request.name.trim().to_owned();
    if !(1..=LONGEST_NAME).contains(&name.len()) || name.chars().any(char::is_control) {
        wrong.push(("name", "1 to 100 printable characters".to_owned()));
    }
    let mut scopes: Vec<Scope> = request.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect();
    if scopes.len() < request.scopes.len() || scopes.is_empty() {
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        wrong.push(("scopes", format!("one or more of {}", all.join(", "))));
    }
    scopes.sort_unstable();
    scopes.dedup();
    let known = state.directory.billers().await?;
    let is_unfit = |slugs: &Vec<Slug>| slugs.is_empty() || slugs.iter().any(|slug| known.by_slug(slug).is_none());
    if request.billers.as_ref().is_some_and(is_unfit) {
        wrong.push(("billers", "slugs of billers; left out: all".to_owned()));
    }
    let audience = request.audience.as_deref().map(Audience::parse);
    if audience == Some(None) {
        wrong.push(("audience", "legacy or portal; left out: both".to_owned()));
    }
    let expires_at = request.expires_at.as_deref().map(Timestamp::parse_rfc3339);
    if expires_at.is_some_and(|at| at.is_none_or(|at| at <= state.clock.now())) {
        wrong.push(("expires_at", "a time to come, such as 2027-01-01T00:00:00Z".to_owned()));
    }
    if !wrong.is_empty() {
        return Err(wrong_fields(wrong));
    }
    let expires_at = expires_at.flatten();
    Ok(NewKey { name, scopes, audience: audience.flatten(), billers: request.billers, expires_at })
}

fn shown(key: &ApiKey) -> Value {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": key.id, "name": key.name, "scopes": scopes, "billers": key.billers,
        "audience": key.audience.map(Audience::as_str), "created_at": key.created_at.to_string(),
        "expires_at": time(key.expires_at), "revoked_at": time(key.revoked_at), "last_used_at": time(key.last_used_at),
    })
}
