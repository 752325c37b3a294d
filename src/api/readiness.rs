//! `GET /api/v1/billers/{slug}/readiness`: the card that `signpost check --biller` shows.

use axum::Json;
use axum::extract::{Path, State};
use http::HeaderMap;

use super::auth::require;
use super::jobs::not_found;
use crate::access::Scope;
use crate::provisioning::Readiness;
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::Slug;

/// Is a biller ready?
///
/// The card that `signpost check --biller` shows. Everything is looked at now, which takes a moment.
#[utoipa::path(
    get, path = paths::READINESS, operation_id = "getReadiness", tag = "CIAM",
    params(("slug" = Slug, Path)),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "A line for each thing.", body = Readiness)),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Readiness>, HttpError> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.permits_biller(slug)).ok_or_else(not_found)?;
    let biller = state.directory.biller_by_slug(&slug).await?.ok_or_else(not_found)?;
    Ok(Json(state.provisioning.readiness(&biller).await?))
}
