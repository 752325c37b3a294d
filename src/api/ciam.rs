//! `/api/v1/billers/{slug}/ciam`: moving billers.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::require;
use super::jobs::{JobResponse, not_found};
use super::json::read_json;
use super::problem::problem;
use crate::access::Scope;
use crate::directory::PasswordCarryOver;
use crate::provisioning::{CiamMode, EnablementOptions, ProvisioningError};
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::Slug;
use signpost_core::decision::CiamState;

/// The switch under Product > CIAM.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CiamUpdate {
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
    put, path = paths::CIAM, operation_id = "setCiam", tag = "CIAM",
    params(("slug" = Slug, Path)),
    request_body(content = CiamUpdate, example = json!({ "active": true, "mode": "mfa", "passwords": "imported" })),
    security(("key" = [Scope::CiamWrite.as_str()])),
    responses(
        (status = 200, description = "Done; there is no job.", body = Option<JobResponse>),
        (status = 202, description = "A job does it: watch it.", body = JobResponse),
        (status = 409, description = "`not_configured`: the settings name no SecureAuth.\n`not_ready`: see `detail`.\n\
            `invalid_state`: not in the state that the biller is in."),
        (status = 422, description = "`unsupported_usernames`: SecureAuth could not keep some of the users."),
        (status = 502, description = "`secureauth_unavailable`: SecureAuth does not answer."),
    ),
)]
pub(super) async fn put(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Option<JobResponse>>), HttpError> {
    let key = require(&state, &headers, Scope::CiamWrite).await?;
    let request: CiamUpdate = read_json(&headers, &body)?;
    let billers = state.directory.billers().await?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.permits_biller(slug)).ok_or_else(not_found)?;
    let biller = billers.by_slug(&slug).cloned().ok_or_else(not_found)?;
    let (provisioning, actor) = (&state.provisioning, state.actor_context(key.actor()));
    let options = EnablementOptions { mode: request.mode, passwords: request.passwords };
    let job = match (request.active, biller.state) {
        (true, CiamState::Suspended) => {
            provisioning.resume(&slug, &actor).await.map_err(http_error)?;
            None
        }
        (true, _) => Some(provisioning.start(&slug, options, &actor).await.map_err(http_error)?),
        (false, CiamState::Enabling) => provisioning.cancel(&slug, &actor).await.map_err(http_error)?,
        (false, CiamState::Active) => {
            provisioning.suspend(&slug, &actor).await.map_err(http_error)?;
            None
        }
        (false, _) => None,
    };
    let status = if job.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(job.map(|job| JobResponse::new(&job, Some(slug))))))
}

pub(super) fn http_error(error: ProvisioningError) -> HttpError {
    match error {
        ProvisioningError::BillerNotFound(_) => not_found(),
        ProvisioningError::NotConfigured | ProvisioningError::NotProvisioned(_) => {
            problem(StatusCode::CONFLICT, "not_configured", &error.to_string())
        }
        ProvisioningError::NotReady(why) => problem(StatusCode::CONFLICT, "not_ready", &why),
        ProvisioningError::InvalidState { .. } => problem(StatusCode::CONFLICT, "invalid_state", &error.to_string()),
        ProvisioningError::UnsupportedUsernames { .. } => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "unsupported_usernames", &error.to_string())
        }
        ProvisioningError::Call(_) | ProvisioningError::ResourceMissing { .. } => {
            problem(StatusCode::BAD_GATEWAY, "secureauth_unavailable", &error.to_string())
        }
        ProvisioningError::Directory(error) => error.into(),
    }
}
