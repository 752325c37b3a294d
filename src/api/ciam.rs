//! `/api/v1/billers/{slug}/ciam` and `/api/v1/jobs/{id}`: moving billers.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::auth::require;
use super::problem::{problem, read_json};
use crate::access::{ApiKey, Scope};
use crate::decision::CiamState;
use crate::directory::PasswordCarryOver;
use crate::enablement::{CiamMode, EnableError, Job, JobState, Order};
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

/// A job, as machines see it.
#[derive(Serialize)]
pub(super) struct JobAnswer {
    id: String,
    biller: Option<Slug>,
    state: JobState,
    done: i64,
    total: i64,
    message: String,
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
    let enablement = &state.enablement;
    let order = Order { mode: request.mode, passwords: request.passwords };
    let job = match (request.active, biller.state) {
        (true, CiamState::Suspended) => {
            enablement.resume(&slug).await.map_err(refused)?;
            None
        }
        (true, _) => Some(enablement.start(&slug, order).await.map_err(refused)?),
        (false, CiamState::Enabling) => enablement.turn_back(&slug).await.map_err(refused)?,
        (false, CiamState::Active) => {
            enablement.suspend(&slug).await.map_err(refused)?;
            None
        }
        (false, _) => None,
    };
    let status = if job.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(job.map(|job| answer(job, Some(slug))))))
}

/// `GET /api/v1/jobs/{id}`
pub(super) async fn job(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<JobAnswer>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let billers = state.directory.billers().await?;
    let job = state.enablement.job(&id).await?.ok_or_else(unknown)?;
    let slug = billers.by_id(&job.biller_id).map(|biller| biller.slug.clone());
    if !reaches(&key, slug.as_ref()) {
        return Err(unknown());
    }
    Ok(Json(answer(job, slug)))
}

fn reaches(key: &ApiKey, slug: Option<&Slug>) -> bool {
    key.billers.is_none() || slug.is_some_and(|slug| key.reaches(slug))
}

fn answer(job: Job, biller: Option<Slug>) -> JobAnswer {
    JobAnswer { id: job.id, biller, state: job.state, done: job.done, total: job.total, message: job.message }
}

fn unknown() -> Refusal {
    problem(StatusCode::NOT_FOUND, "not_found", "There is no such biller or job.")
}

fn refused(error: EnableError) -> Refusal {
    match error {
        EnableError::NoSuchBiller(_) => unknown(),
        EnableError::NotConfigured => problem(StatusCode::CONFLICT, "not_configured", &error.to_string()),
        EnableError::WrongState { .. } => problem(StatusCode::CONFLICT, "wrong_state", &error.to_string()),
        EnableError::Unfit { .. } => problem(StatusCode::UNPROCESSABLE_ENTITY, "unfit_users", &error.to_string()),
        EnableError::Call(_) => problem(StatusCode::BAD_GATEWAY, "secureauth", &error.to_string()),
        EnableError::Directory(error) => error.into(),
    }
}
