//! `GET /api/v1/health`: how billers, jobs and queues do.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;

use super::auth::require;
use crate::access::Scope;
use crate::state::{AppState, Health};
use crate::web::{Refusal, paths};

/// Read how everything does
///
/// Each biller's issuer, calls, queues and scoreboard; jobs, mails that wait, and the directory's integrity. A key that is limited to
/// some billers sees these, and nothing that concerns none.
#[utoipa::path(
    get, path = paths::HEALTH, operation_id = "readHealth", tag = "Support",
    security(("key" = [Scope::AuditRead.as_str()])),
    responses((status = 200, description = "As of now.", body = Health)),
)]
pub(super) async fn show(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<Health>, Refusal> {
    let key = require(&state, &headers, Scope::AuditRead).await?;
    Ok(Json(state.health(key.billers.as_deref()).await?))
}
