//! `GET /api/v1/health`: how billers, jobs and queues do.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;

use super::auth::require;
use crate::access::Scope;
use crate::state::{AppState, ServiceHealth};
use crate::web::{HttpError, paths};

/// Read how everything does
///
/// Each biller's issuer, calls, queues and migration statistics; jobs, mails that wait, and the directory's integrity. A key that is limited to
/// some billers sees these, and nothing that concerns none.
#[utoipa::path(
    get, path = paths::HEALTH, operation_id = "getHealth", tag = "Support",
    security(("key" = [Scope::AuditRead.as_str()])),
    responses((status = 200, description = "As of now.", body = ServiceHealth)),
)]
pub(super) async fn get(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<ServiceHealth>, HttpError> {
    let key = require(&state, &headers, Scope::AuditRead).await?;
    Ok(Json(state.health(key.billers.as_deref()).await?))
}
