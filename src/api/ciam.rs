//! `/api/v1/billers/{slug}/ciam`: moving billers.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::auth::require;
use super::jobs::{JobAnswer, unknown};
use super::problem::{problem, read_json};
use crate::access::Scope;
use crate::decision::CiamState;
use crate::directory::PasswordCarryOver;
use crate::enablement::{CiamMode, EnableError, Order};
use crate::kernel::Slug;
use crate::state::AppState;
use crate::web::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    active: bool,
    #[serde(default)]
    mode: CiamMode,
    #[serde(default)]
    passwords: PasswordCarryOver,
}

/// `PUT /api/v1/billers/{slug}/ciam`: on, or off again. 202 with the job; 200 without one where a switch is all there is to do.
pub(super) async fn put(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Option<JobAnswer>>), Refusal> {
    let key = require(&state, &headers, Scope::CiamWrite).await?;
    let request: Request = read_json(&headers, &body)?;
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
        EnableError::Call(_) => problem(StatusCode::BAD_GATEWAY, "secureauth", &error.to_string()),
        EnableError::Directory(error) => error.into(),
    }
}
