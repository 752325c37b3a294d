//! `/api/v1/kill-switch`: stopping what goes wrong, for every instance.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::auth::require;
use super::problem::{problem, read_json};
use crate::access::Scope;
use crate::decision::Kill;
use crate::state::AppState;
use crate::web::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    kill_switch: String,
}

/// The kill switch.
#[derive(Serialize)]
pub(super) struct Answer {
    /// What was set for every instance: `off`, `all-legacy`, `hold` or `SLUG=legacy`; null: never set.
    kill_switch: Option<String>,
    /// What is in force on the instance that answers: its file counts first.
    in_force: String,
}

/// `GET`
pub(super) async fn get(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<Answer>, Refusal> {
    require(&state, &headers, Scope::BillersRead).await?;
    answer(&state).await
}

/// `PUT {"kill_switch": …}`
pub(super) async fn put(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Answer>, Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let request: Request = read_json(&headers, &body)?;
    let kill: Kill = request
        .kill_switch
        .parse()
        .map_err(|error: String| problem(StatusCode::UNPROCESSABLE_ENTITY, "not_a_kill_switch", &error))?;
    let billers = state.directory.billers().await?;
    let named = match &kill {
        Kill::BillerLegacy(slug) => Some(slug),
        _ => None,
    };
    if named.is_some_and(|slug| billers.by_slug(slug).is_none() || !key.reaches(slug)) {
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "no_such_biller", "There is no such biller."));
    }
    if key.billers.is_some() && named.is_none() {
        let detail = "The API key is limited to some billers, and this order concerns all.";
        return Err(problem(StatusCode::FORBIDDEN, "key_limited", detail));
    }
    state.directory.set_kill_switch(&kill, &state.by(key.actor())).await?;
    tracing::warn!(order = %kill, key = key.id, "the kill switch was set");
    answer(&state).await
}

async fn answer(state: &AppState) -> Result<Json<Answer>, Refusal> {
    let billers = state.directory.billers().await?;
    Ok(Json(Answer {
        kill_switch: billers.kill_switch().map(ToString::to_string),
        in_force: state.routing.kill_switch.now(&billers).to_string(),
    }))
}
