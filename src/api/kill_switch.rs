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
use crate::web::{HttpError, paths};
use signpost_core::decision::KillSwitchState;

/// An order for every instance.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KillSwitchUpdate {
    /// `off`, `all-legacy`, `hold` or `SLUG=legacy`.
    kill_switch: String,
}

/// The kill switch.
#[derive(Serialize, ToSchema)]
pub(super) struct KillSwitch {
    /// What was set for every instance: `off`, `all-legacy`, `hold` or `SLUG=legacy`; null: never set.
    kill_switch: Option<String>,
    /// What is in force on the instance that answers: its file counts first.
    effective: String,
}

/// Read the kill switch
#[utoipa::path(
    get, path = paths::KILL_SWITCH, operation_id = "getKillSwitch", tag = "Kill switch",
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The kill switch.", body = KillSwitch)),
)]
pub(super) async fn get(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<KillSwitch>, HttpError> {
    require(&state, &headers, Scope::BillersRead).await?;
    response(&state).await
}

/// Set the kill switch
///
/// It stops what goes wrong, for every instance: everybody, or the users of one biller, to the legacy login; or the hold page.
#[utoipa::path(
    put, path = paths::KILL_SWITCH, operation_id = "setKillSwitch", tag = "Kill switch",
    request_body(content = KillSwitchUpdate, example = json!({ "kill_switch": "maple-electric=legacy" })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 200, description = "As it is now.", body = KillSwitch),
        (status = 403, description = "`api_key_restricted`: the key is limited to some billers, and this order concerns all."),
        (status = 422, description = "`invalid_kill_switch`: none of the words above.\n`biller_not_found`: there is none."),
    ),
)]
pub(super) async fn put(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<KillSwitch>, HttpError> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let request: KillSwitchUpdate = read_json(&headers, &body)?;
    let kill: KillSwitchState = request
        .kill_switch
        .parse()
        .map_err(|error: String| problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_kill_switch", &error))?;
    let billers = state.directory.billers().await?;
    let named = match &kill {
        KillSwitchState::BillerLegacy(slug) => Some(slug),
        _ => None,
    };
    if named.is_some_and(|slug| billers.by_slug(slug).is_none() || !key.permits_biller(slug)) {
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "biller_not_found", "There is no such biller."));
    }
    if key.billers.is_some() && named.is_none() {
        let detail = "The API key is limited to some billers, and this order concerns all.";
        return Err(problem(StatusCode::FORBIDDEN, "api_key_restricted", detail));
    }
    state.directory.set_kill_switch(&kill, &state.actor_context(key.actor())).await?;
    tracing::warn!(kill_switch = %kill, key = key.id, "the kill switch was set");
    response(&state).await
}

async fn response(state: &AppState) -> Result<Json<KillSwitch>, HttpError> {
    let billers = state.directory.billers().await?;
    Ok(Json(KillSwitch {
        kill_switch: billers.kill_switch().map(ToString::to_string),
        effective: state.routing.kill_switch.current(&billers).to_string(),
    }))
}
