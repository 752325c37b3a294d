//! `GET /api/v1/billers/{slug}/readiness`: the readiness check.

use axum::Json;
use axum::extract::State;

use super::access::find_biller;
use super::auth::ApiKeyFor;
use crate::access::{Scope, scope};
use crate::directory::Directory;
use crate::provisioning::{Provisioning, Readiness};
use crate::web::extract::BillerPath;
use crate::web::{HttpError, paths};
use signpost_core::Slug;

/// Check a biller's readiness
///
/// Runs every check before go-live now, which takes a few seconds. `signpost doctor --biller` shows the same.
#[utoipa::path(
    get, path = paths::READINESS, operation_id = "getReadiness", tag = "CIAM",
    params(("slug" = Slug, Path)),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The result of each check.", body = Readiness)),
)]
pub(super) async fn get(
    key: ApiKeyFor<scope::BillersRead>,
    State(directory): State<Directory>,
    State(provisioning): State<Provisioning>,
    BillerPath(slug): BillerPath,
) -> Result<Json<Readiness>, HttpError> {
    let biller = find_biller(&directory, &key, &slug).await?;
    Ok(Json(provisioning.readiness(&biller).await?))
}
