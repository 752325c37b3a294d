//! `/api/v1/billers/{slug}/ciam`: moving billers.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::require;
use super::jobs::{JobAnswer, unknown};
use super::json::read_json;
use super::problem::problem;
use crate::access::Scope;
use crate::directory::PasswordCarryOver;
use crate::enablement::{CiamMode, EnableError, Order};
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::Slug;
use signpost_core::decision::CiamState;

/// The switch under Product > CIAM.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CiamSwitch {
    /// On, or off.
    active: bool,
    #[serde(default)]
    mode: CiamMode,
    #[serde(default)]
    passwords: PasswordCarryOver,
}

/// Switch a biller on or off
///
/// On: a legacy biller is enabled, a suspended one resumed. Off: a biller that is being enabled is turned back, an active one
/// suspended.
#[utoipa::path(
    put, path = paths::CIAM, operation_id = "switchCiam", tag = "CIAM",
    params(("slug" = Slug, Path)),
    request_body(content = CiamSwitch, example = json!({ "active": true, "mode": "mfa", "passwords": "imported" })),
    security(("key" = [Scope::CiamWrite.as_str()])),
    responses(
        (status = 200, description = "Done; there is no job.", body = Option<JobAnswer>),
        (status = 202, description = "A job does it: watch it.", body = JobAnswer),
        (status = 409, description = "`not_configured`: the settings name no SecureAuth.\n`not_ready`: see `detail`.\n\
            `wrong_state`: not in the state that the biller is in."),
        (status = 422, description = "`unfit_users`: SecureAuth could not keep some of the users."),
        (status = 502, description = "`secureauth`: SecureAuth does not answer."),
    ),
)]
pub(super) async fn put(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Option<JobAnswer>>), Refusal> {
    let key = require(&state, &headers, Scope::CiamWrite).await?;
    let request: CiamSwitch = read_json(&headers, &body)?;
    let billers = state.directory.billers().await?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.reaches(slug)).ok_or_else(unknown)?;
    let biller = billers.by_slug(&slug).cloned().ok_or_else(unknown)?;
    let (enablement, by) = (&state.enablement, state.by(key.actor()));
    let order = Order { mode: request.mode, passwords: request.passwords };
    let job = match (request.active, biller.state) {
        (true, CiamState::Suspended) => {
            enablement.resume(&slug, &by).await.map_err(refused)?;
            None
        }
        (true, _) => Some(enablement.start(&slug, order, &by).await.map_err(refused)?),
        (false, CiamState::Enabling) => enablement.turn_back(&slug, &by).await.map_err(refused)?,
        (false, CiamState::Active) => {
            enablement.suspend(&slug, &by).await.map_err(refused)?;
            None
        }
        (false, _) => None,
    };
    let status = if job.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(job.map(|job| JobAnswer::new(&job, Some(slug))))))
}

pub(super) fn refused(error: EnableError) -> Refusal {
    match error {
        EnableError::NoSuchBiller(_) => unknown(),
        EnableError::NotConfigured | EnableError::NoPool(_) => {
            problem(StatusCode::CONFLICT, "not_configured", &error.to_string())
        }
        EnableError::NotReady(why) => problem(StatusCode::CONFLICT, "not_ready", &why),
        EnableError::WrongState { .. } => problem(StatusCode::CONFLICT, "wrong_state", &error.to_string()),
        EnableError::Unfit { .. } => problem(StatusCode::UNPROCESSABLE_ENTITY, "unfit_users", &error.to_string()),
        EnableError::Call(_) | EnableError::Gone { .. } => {
            problem(StatusCode::BAD_GATEWAY, "secureauth", &error.to_string())
        }
        EnableError::Directory(error) => error.into(),
    }
}
