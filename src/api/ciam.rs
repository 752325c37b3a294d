//! `/api/v1/billers/{slug}/ciam`: migrating billers.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::find_biller;
use super::auth::ApiKeyFor;
use super::jobs::JobResponse;
use super::json::JsonBody;
use super::problem::{not_found, problem};
use crate::access::{Scope, scope};
use crate::directory::{Directory, PasswordCarryOver};
use crate::provisioning::{CiamMode, EnablementOptions, Provisioning, ProvisioningError};
use crate::web::extract::BillerPath;
use crate::web::{HttpError, paths};
use signpost_core::Slug;
use signpost_core::decision::CiamState;

/// The switch under Product > CIAM.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CiamUpdate {
    /// Whether customers of the biller sign in at SecureAuth.
    active: bool,
    #[serde(default)]
    mode: CiamMode,
    #[serde(default)]
    passwords: PasswordCarryOver,
}

/// Enable or suspend a biller
///
/// `active: true` enables a legacy biller and resumes a suspended one. `active: false` suspends an active biller, and cancels the
/// job of a biller that is being enabled.
#[utoipa::path(
    put, path = paths::CIAM, operation_id = "setCiam", tag = "CIAM",
    params(("slug" = Slug, Path)),
    request_body(content = CiamUpdate, example = json!({ "active": true, "mode": "mfa", "passwords": "imported" })),
    security(("key" = [Scope::CiamWrite.as_str()])),
    responses(
        (status = 200, description = "The change took effect at once. There is no job.", body = Option<JobResponse>),
        (status = 202, description = "A job makes the change. Poll it or stream its events.", body = JobResponse),
        (status = 409, description = "`not_configured`: SecureAuth is not configured.\n`not_ready`: the biller cannot be enabled yet; see \
            `detail`.\n`invalid_state`: the biller's CIAM state does not allow this."),
        (status = 422, description = "`unsupported_usernames`: SecureAuth cannot store some of the usernames."),
        (status = 502, description = "`secureauth_unavailable`: SecureAuth did not respond."),
    ),
)]
pub(super) async fn put(
    key: ApiKeyFor<scope::CiamWrite>,
    State(directory): State<Directory>,
    State(provisioning): State<Provisioning>,
    BillerPath(slug): BillerPath,
    JsonBody(request): JsonBody<CiamUpdate>,
) -> Result<(StatusCode, Json<Option<JobResponse>>), HttpError> {
    let biller = find_biller(&directory, &key, &slug).await?;
    let actor = key.actor_context();
    let options = EnablementOptions { mode: request.mode, passwords: request.passwords };
    let job = match (request.active, biller.state) {
        (true, CiamState::Suspended) => {
            provisioning.resume(&slug, actor).await.map_err(http_error)?;
            None
        }
        (true, _) => Some(provisioning.start(&slug, options, actor).await.map_err(http_error)?),
        (false, CiamState::Enabling) => provisioning.cancel(&slug, actor).await.map_err(http_error)?,
        (false, CiamState::Active) => {
            provisioning.suspend(&slug, actor).await.map_err(http_error)?;
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
