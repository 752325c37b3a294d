//! `/api/v1/kill-switch`: the kill switch of all instances.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::require_all_billers;
use super::auth::ApiKeyFor;
use super::json::JsonBody;
use super::problem::problem;
use crate::access::{Scope, scope};
use crate::directory::{Directory, DirectoryError};
use crate::routing::Routing;
use crate::web::{HttpError, paths};
use signpost_core::decision::KillSwitchState;

/// A new setting of the kill switch.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KillSwitchUpdate {
    /// `off`, `all-legacy`, `hold`, or `SLUG=legacy` for one biller.
    kill_switch: String,
}

/// The kill switch.
#[derive(Serialize, ToSchema)]
pub(crate) struct KillSwitch {
    /// The setting for all instances: `off`, `all-legacy`, `hold` or `SLUG=legacy`. Null if it was never set.
    pub kill_switch: Option<String>,
    /// The setting in effect on the instance that responds. Its kill switch file takes precedence.
    pub effective: String,
    /// Why the kill switch file of the instance that responds cannot be understood. Null: it can, or there is none.
    pub file_problem: Option<String>,
}

/// Get the kill switch
#[utoipa::path(
    get, path = paths::KILL_SWITCH, operation_id = "getKillSwitch", tag = "Kill switch",
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The kill switch.", body = KillSwitch)),
)]
pub(super) async fn get(
    _: ApiKeyFor<scope::BillersRead>,
    State(directory): State<Directory>,
    State(routing): State<Routing>,
) -> Result<Json<KillSwitch>, HttpError> {
    Ok(Json(KillSwitch::read(&directory, &routing).await?))
}

/// Set the kill switch
///
/// Takes effect on all instances. `all-legacy` sends all customers to the legacy login, `SLUG=legacy` those of one biller, and `hold`
/// shows the maintenance page.
#[utoipa::path(
    put, path = paths::KILL_SWITCH, operation_id = "setKillSwitch", tag = "Kill switch",
    request_body(content = KillSwitchUpdate, example = json!({ "kill_switch": "maple-electric=legacy" })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 200, description = "The kill switch.", body = KillSwitch),
        (status = 403, description = "`api_key_restricted`: the API key is limited to some billers, and this setting affects all."),
        (status = 422, description = "`invalid_kill_switch`: the value is not one of those above.\n`biller_not_found`: the biller does not exist, or the API key has no access to it."),
    ),
)]
pub(super) async fn put(
    key: ApiKeyFor<scope::BillersWrite>,
    State(directory): State<Directory>,
    State(routing): State<Routing>,
    JsonBody(request): JsonBody<KillSwitchUpdate>,
) -> Result<Json<KillSwitch>, HttpError> {
    let kill: KillSwitchState = request
        .kill_switch
        .parse()
        .map_err(|error: String| problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_kill_switch", &error))?;
    let billers = directory.billers().await?;
    let named = match &kill {
        KillSwitchState::BillerLegacy(slug) => Some(slug),
        _ => None,
    };
    if named.is_some_and(|slug| billers.by_slug(slug).is_none() || !key.permits_biller(slug)) {
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "biller_not_found", "No such biller exists."));
    }
    if named.is_none() {
        require_all_billers(&key, "This setting affects all billers, and the API key is limited to some.")?;
    }
    directory.set_kill_switch(&kill, key.actor_context()).await?;
    tracing::warn!(kill_switch = %kill, key = key.id, "the kill switch was set");
    Ok(Json(KillSwitch::read(&directory, &routing).await?))
}

impl KillSwitch {
    pub(crate) async fn read(directory: &Directory, routing: &Routing) -> Result<Self, DirectoryError> {
        let billers = directory.billers().await?;
        Ok(Self {
            kill_switch: billers.kill_switch().map(ToString::to_string),
            effective: routing.kill_switch.current(&billers).to_string(),
            file_problem: routing.kill_switch.file_problem(),
        })
    }
}
