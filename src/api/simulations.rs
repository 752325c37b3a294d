//! `POST /api/v1/simulations`: where would somebody be taken, and why?

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};

use super::auth::require;
use super::json::read_json;
use super::problem::{problem, wrong_fields};
use crate::access::Scope;
use crate::audit::{Act, Action};
use crate::routing::{Question, QuestionError, Told};
use crate::state::AppState;
use crate::web::{Refusal, paths};

/// Ask where somebody would be taken
///
/// The decision, every rule that was looked at, and what would change it; nothing is done, sent or counted. A key that is limited
/// to some billers asks as if there were no others.
#[utoipa::path(
    post, path = paths::SIMULATIONS, operation_id = "simulate", tag = "Simulations",
    request_body(content = Question, example = json!({ "username": "two-moved", "billers": { "maple-electric": "suspended" } })),
    security(("key" = [Scope::Simulate.as_str()])),
    responses(
        (status = 200, description = "Where to, and why.", body = Told),
        (status = 422, description = "`wrong_fields`: see `errors`."),
        (status = 429, description = "`too_many`: the key's questions of this minute, or of this day, are used up."),
    ),
)]
pub(super) async fn ask(State(state): State<AppState>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let key = require(&state, &headers, Scope::Simulate).await?;
    if !state.limits.allow_simulation(&key.id) {
        return Err(problem(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many",
            "Too many questions in this minute, or today; ask again later.",
        ));
    }
    let question: Question = read_json(&headers, &body)?;
    let asked = state.routing.ask(&question, key.billers.as_deref()).await;
    let act = Act::of(Action::SimulationAsked).with("row", asked.as_ref().ok().map(|answer| answer.routed.verdict.row));
    state.by(key.actor()).note_alone(&state.db, act).await?;
    let answer = asked.map_err(refused)?;
    Ok(Json(answer.told()).into_response())
}

fn refused(error: QuestionError) -> Refusal {
    match (error.field(), error) {
        (_, QuestionError::Directory(error)) => error.into(),
        (field, error) => wrong_fields([(field.unwrap_or_default(), error.to_string())]),
    }
}
