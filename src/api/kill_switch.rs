//! `/api/v1/kill-switch`: stopping what goes wrong, for every instance.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::require;
use super::json::read_json;
use super::problem::problem;
use crate::access::Scope;
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::decision::Kill;

/// An order for every instance.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KillOrder {
    /// `off`, `all-legacy`, `hold` or `SLUG=legacy`.
    kill_switch: String,
}

/// The kill switch.
#[derive(Serialize, ToSchema)]
pub(super) struct KillSwitch {
    /// What was set for every instance: `off`, `all-legacy`, `hold` or `SLUG=legacy`; null: never set.
    kill_switch: Option<String>,
    /// What is in force on the instance that answers: its file counts first.
    in_force: String,
}

/// Read the kill switch
#[utoipa::path(
    get, path = paths::KILL_SWITCH, operation_id = "readKillSwitch", tag = "Kill switch",
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The kill switch.", body = KillSwitch)),
)]
pub(super) async fn get(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<KillSwitch>, Refusal> {
    require(&state, &headers, Scope::BillersRead).await?;
    answer(&state).await
}

/// Set the kill switch
///
/// It stops what goes wrong, for every instance: everybody, or the users of one biller, to the legacy login; or the hold page.
#[utoipa::path(
    put, path = paths::KILL_SWITCH, operation_id = "setKillSwitch", tag = "Kill switch",
    request_body(content = KillOrder, example = json!({ "kill_switch": "maple-electric=legacy" })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 200, description = "As it is now.", body = KillSwitch),
        (status = 403, description = "`key_limited`: the key is limited to some billers, and this order concerns all."),
        (status = 422, description = "`not_a_kill_switch`: none of the words above.\n`no_such_biller`: there is none."),
    ),
)]
pub(super) async fn put(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<KillSwitch>, Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let request: KillOrder = read_json(&headers, &body)?;
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

async fn answer(state: &AppState) -> Result<Json<KillSwitch>, Refusal> {
    let billers = state.directory.billers().await?;
    Ok(Json(KillSwitch {
        kill_switch: billers.kill_switch().map(ToString::to_string),
        in_force: state.routing.kill_switch.now(&billers).to_string(),
    }))
}
