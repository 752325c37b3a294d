//! `GET /api/v1/health`: the health of billers, jobs and queues.

use axum::Json;
use axum::extract::State;

use super::auth::ApiKeyFor;
use crate::access::{Scope, scope};
use crate::state::{HealthReporter, ServiceHealth};
use crate::web::{HttpError, paths};

/// Get service health
///
/// Returns each biller's issuer health, calls, queues and migration statistics, and the jobs, mail queue and directory integrity of
/// the installation. A key that is limited to some billers gets these billers only.
#[utoipa::path(
    get, path = paths::HEALTH, operation_id = "getHealth", tag = "Support",
    security(("key" = [Scope::AuditRead.as_str()])),
    responses((status = 200, description = "The current health.", body = ServiceHealth)),
)]
pub(super) async fn get(
    key: ApiKeyFor<scope::AuditRead>,
    State(reporter): State<HealthReporter>,
) -> Result<Json<ServiceHealth>, HttpError> {
    Ok(Json(reporter.report(key.billers.as_deref()).await?))
}
