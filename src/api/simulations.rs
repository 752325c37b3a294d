//! `POST /api/v1/simulations`: where would somebody be taken, and why?

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};

use super::auth::require;
use super::json::read_json;
use super::problem::{problem, validation_failed};
use crate::access::Scope;
use crate::audit::{Action, AuditEvent};
use crate::routing::{SimulationError, SimulationRequest, SimulationResponse};
use crate::state::AppState;
use crate::web::{HttpError, paths};

/// Ask where somebody would be taken
///
/// The decision, every rule that was looked at, and what would change it; nothing is done, sent or counted. A key that is limited
/// to some billers asks as if there were no others.
#[utoipa::path(
    post, path = paths::SIMULATIONS, operation_id = "simulate", tag = "Simulations",
    request_body(content = SimulationRequest, example = json!({ "username": "two-moved", "billers": { "maple-electric": "suspended" } })),
    security(("key" = [Scope::Simulate.as_str()])),
    responses(
        (status = 200, description = "Where to, and why.", body = SimulationResponse),
        (status = 422, description = "`validation_failed`: see `errors`."),
        (status = 429, description = "`rate_limited`: the key's questions of this minute, or of this day, are used up."),
    ),
)]
pub(super) async fn simulate(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    let key = require(&state, &headers, Scope::Simulate).await?;
    if !state.limits.allow_simulation(&key.id) {
        return Err(problem(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many questions in this minute, or today; ask again later.",
        ));
    }
    let request: SimulationRequest = read_json(&headers, &body)?;
    let result = state.routing.simulate(&request, key.billers.as_deref()).await;
    let event = AuditEvent::new(Action::SimulationRun)
        .with("row", result.as_ref().ok().map(|answer| answer.routing_result.verdict.row));
    state.actor_context(key.actor()).record_alone(&state.db, event).await?;
    let answer = result.map_err(http_error)?;
    Ok(Json(answer.response()).into_response())
}

fn http_error(error: SimulationError) -> HttpError {
    match (error.field(), error) {
        (_, SimulationError::Directory(error)) => error.into(),
        (field, error) => validation_failed([(field.unwrap_or_default(), error.to_string())]),
    }
}
