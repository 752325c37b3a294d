//! `GET /api/v1/billers/{slug}/readiness`: the card that `signpost check --biller` shows.

use axum::Json;
use axum::extract::{Path, State};
use http::HeaderMap;

use super::auth::require;
use super::jobs::unknown;
use crate::access::Scope;
use crate::enablement::Readiness;
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::Slug;

/// Is a biller ready?
///
/// The card that `signpost check --biller` shows. Everything is looked at now, which takes a moment.
#[utoipa::path(
    get, path = paths::READINESS, operation_id = "readReadiness", tag = "CIAM",
    params(("slug" = Slug, Path)),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "A line for each thing.", body = Readiness)),
)]
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
