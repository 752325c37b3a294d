//! `GET /api/v1/billers/{slug}/readiness`: the card that `signpost check --biller` shows.

use axum::Json;
use axum::extract::{Path, State};
use http::HeaderMap;

use super::auth::require;
use super::jobs::unknown;
use crate::access::Scope;
use crate::enablement::Readiness;
use crate::kernel::Slug;
use crate::state::AppState;
use crate::web::Refusal;

/// Looks at everything now, which takes a moment.
pub(super) async fn card(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Readiness>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.reaches(slug)).ok_or_else(unknown)?;
    let biller = state.directory.named(&slug).await?.ok_or_else(unknown)?;
    Ok(Json(state.enablement.readiness(&biller).await?))
}
