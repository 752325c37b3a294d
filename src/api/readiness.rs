//! `GET /api/v1/billers/{slug}/readiness`: the readiness check.

use axum::Json;
use axum::extract::State;

use super::access::find_biller;
use super::auth::ApiKeyFor;
use crate::access::{Scope, scope};
use crate::provisioning::Readiness;
use crate::state::AppState;
use crate::web::extract::BillerPath;
use crate::web::{HttpError, paths};
use signpost_core::Slug;

/// Check a biller's readiness
///
/// Runs every check before go-live now, which takes a few seconds. `signpost check --biller` shows the same.
#[utoipa::path(
    get, path = paths::READINESS, operation_id = "getReadiness", tag = "CIAM",
    params(("slug" = Slug, Path)),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The result of each check.", body = Readiness)),
)]
pub(super) async fn get(
    key: ApiKeyFor<scope::BillersRead>,
    State(state): State<AppState>,
    BillerPath(slug): BillerPath,
) -> Result<Json<Readiness>, HttpError> {
    let biller = find_biller(&state, &key, &slug).await?;
    Ok(Json(state.provisioning.readiness(&biller).await?))
}
