//! `GET /api/v1/health`: how billers, jobs and queues do.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;

use super::auth::require;
use crate::access::Scope;
use crate::state::{AppState, Health};
use crate::web::Refusal;

/// A key that is limited to some billers sees these, and nothing that concerns none.
pub(super) async fn show(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<Health>, Refusal> {
    let key = require(&state, &headers, Scope::AuditRead).await?;
    Ok(Json(state.health(key.billers.as_deref()).await?))
}
