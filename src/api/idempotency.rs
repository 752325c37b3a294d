//! POST requests with an `Idempotency-Key`.

use std::convert::Infallible;

use axum::extract::{FromRef, FromRequestParts, OriginalUri};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::problem::problem;
use crate::access::{ApiKey, IdempotencyKey, Replay};
use crate::db::{Db, Tx};
use crate::state::AppState;
use crate::web::HttpError;
use signpost_core::Clock;

/// The `Idempotency-Key` header of a request, and its description.
pub(super) struct IdempotencyKeyHeader {
    headers: HeaderMap,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKeyHeader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, state).await?;
        Ok(Self { headers: parts.headers.clone(), path: uri.path().to_owned() })
    }
}

impl IdempotencyKeyHeader {
    /// The key that this client sent, if any, with the request that it identifies. Bodies are compared as parsed, so that
    /// white space and the order of fields do not matter.
    pub(super) fn key(&self, api_key: &ApiKey, body: &impl Serialize) -> Result<Option<IdempotencyKey>, HttpError> {
        key(&self.headers, api_key, &self.path, &json!(body))
    }
}

/// A transaction for a request that counts once, or the body of the response to its first attempt.
pub(super) enum Attempt {
    First(Tx),
    Repeated(String),
}

/// Makes repeated requests take effect once.
#[derive(Clone)]
pub(super) struct Idempotency {
    db: Db,
    clock: Clock,
}

impl FromRef<AppState> for Idempotency {
    fn from_ref(state: &AppState) -> Self {
        Self { db: state.db.clone(), clock: state.clock.clone() }
    }
}

impl Idempotency {
    /// Begins a transaction and claims the key in it.
    pub(super) async fn begin(&self, key: Option<&IdempotencyKey>) -> Result<Attempt, HttpError> {
        let mut tx = self.db.begin().await?;
        let Some(key) = key else { return Ok(Attempt::First(tx)) };
        if key.claim(&mut tx, self.clock.now()).await? {
            return Ok(Attempt::First(tx));
        }
        drop(tx);
        replay(&self.db, key).await?.ok_or_else(in_progress).map(Attempt::Repeated)
    }
}

impl IntoParams for IdempotencyKeyHeader {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "A unique string of your choice for this request, such as a UUID. For 24 hours, repeated requests with the \
            same key take effect once and get the same response.";
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        let schema = text.pattern(Some(r"^[!#-+\x2d-\x5b\]-~]+$")).build();
        let header = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        vec![header.description(Some(description)).schema(Some(schema)).build()]
    }
}

/// The request's key, if it has one.
fn key(headers: &HeaderMap, api_key: &ApiKey, path: &str, body: &Value) -> Result<Option<IdempotencyKey>, HttpError> {
    let mut fields = headers.get_all("idempotency-key").iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let request = format!("{path} {body}");
    let only = field.to_str().ok().filter(|_| fields.next().is_none());
    let idempotency_key = only.and_then(|field| IdempotencyKey::parse(&api_key.id, field, request.as_bytes()));
    let detail =
        "`Idempotency-Key` must be 1 to 255 printable ASCII characters without spaces, commas, quotes and backslashes.";
    Ok(Some(idempotency_key.ok_or_else(|| problem(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail))?))
}

/// The body of the response to an earlier request with the same key; none if that request stopped before it had a response.
pub(super) async fn replay(db: &Db, idempotency_key: &IdempotencyKey) -> Result<Option<String>, HttpError> {
    match idempotency_key.find_replay(db).await? {
        Replay::Completed(_, body) => Ok(Some(body)),
        Replay::Incomplete => Ok(None),
        Replay::Mismatch => {
            let detail = "This `Idempotency-Key` was used for a different request.";
            Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail))
        }
        Replay::None => Err(in_progress()),
    }
}

fn in_progress() -> HttpError {
    let detail = "A request with this `Idempotency-Key` is still in progress. Try again later.";
    problem(StatusCode::CONFLICT, "in_progress", detail)
}
