//! `POST /api/v1/simulations`: what-if simulations of the routing decision.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::access::check_simulation_limit;
use super::auth::ApiKeyFor;
use super::json::JsonBody;
use super::problem::validation_failed;
use crate::access::{RateLimits, Scope, scope};
use crate::audit::{Action, AuditEvent};
use crate::db::Db;
use crate::routing::{Routing, SimulationError, SimulationRequest, SimulationResponse};
use crate::web::{HttpError, paths};

/// Simulate a routing decision
///
/// Returns the decision, the trace of all rules, and what would change the decision. Nothing is changed, sent or counted. For a key
/// that is limited to some billers, other billers do not exist.
#[utoipa::path(
    post, path = paths::SIMULATIONS, operation_id = "simulate", tag = "Simulations",
    request_body(content = SimulationRequest, example = json!({ "username": "two-moved", "billers": { "maple-electric": "suspended" } })),
    security(("key" = [Scope::Simulate.as_str()])),
    responses(
        (status = 200, description = "The decision and its trace.", body = SimulationResponse),
        (status = 422, description = "`validation_failed`: some fields are invalid; see `errors`."),
        (status = 429, description = "`rate_limited`: the API key has used up its simulations for this minute or this day."),
    ),
)]
pub(super) async fn simulate(
    key: ApiKeyFor<scope::Simulate>,
    State(routing): State<Routing>,
    State(limits): State<Arc<RateLimits>>,
    State(db): State<Db>,
    JsonBody(request): JsonBody<SimulationRequest>,
) -> Result<Response, HttpError> {
    check_simulation_limit(&limits, &key)?;
    let result = routing.simulate(&request, key.billers.as_deref()).await;
    let event = AuditEvent::new(Action::SimulationRun)
        .with("row", result.as_ref().ok().map(|answer| answer.routing_result.verdict.row));
    key.actor_context().record_alone(&db, event).await?;
    let answer = result.map_err(http_error)?;
    Ok(Json(answer.response()).into_response())
}

fn http_error(error: SimulationError) -> HttpError {
    match (error.field(), error) {
        (_, SimulationError::Directory(error)) => error.into(),
        (field, error) => validation_failed([(field.unwrap_or_default(), error.to_string())]),
    }
}
