//! POST requests that carry an `Idempotency-Key`.

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::problem::problem;
use crate::access::{ApiKey, IdempotencyKey, Replay};
use crate::state::AppState;
use crate::web::HttpError;

/// Describes the header of requests that may be repeated.
pub(super) struct IdempotencyKeyHeader;

impl IntoParams for IdempotencyKeyHeader {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "A text of your own for this one request, such as a UUID: however often it is sent within a day, it \
            counts once, and the answer is the same.";
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        let schema = text.pattern(Some(r"^[!#-+\x2d-\x5b\]-~]+$")).build();
        let header = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        vec![header.description(Some(description)).schema(Some(schema)).build()]
    }
}

/// The request's key, if it has one. Bodies are compared as JSON: a repetition may be written otherwise.
pub(super) fn key(
    headers: &HeaderMap,
    api_key: &ApiKey,
    path: &str,
    body: &Value,
) -> Result<Option<IdempotencyKey>, HttpError> {
    let Some(field) = headers.get("idempotency-key") else { return Ok(None) };
    let request = format!("{path} {body}");
    let idempotency_key =
        field.to_str().ok().and_then(|field| IdempotencyKey::parse(&api_key.id, field, request.as_bytes()));
    let detail = "An Idempotency-Key is 1 to 255 printable characters without spaces, commas and quotes inside.";
    Ok(Some(idempotency_key.ok_or_else(|| problem(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail))?))
}

/// Body of the answer to an earlier request with the same key; none: it was not answered, and the rest is to be done.
pub(super) async fn replay(state: &AppState, idempotency_key: &IdempotencyKey) -> Result<Option<String>, HttpError> {
    match idempotency_key.find_replay(&state.db).await? {
        Replay::Completed(_, body) => Ok(Some(body)),
        Replay::Incomplete => Ok(None),
        Replay::Mismatch => {
            let detail = "This Idempotency-Key came before with another request.";
            Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail))
        }
        Replay::None => Err(in_progress()),
    }
}

/// Somebody else is at the same request.
pub(super) fn in_progress() -> HttpError {
    let detail = "The same request is being worked on. Try again in a moment.";
    problem(StatusCode::CONFLICT, "in_progress", detail)
}
