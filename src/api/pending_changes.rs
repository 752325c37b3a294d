//! `/api/v1/changes`: changes of billers that need an approval.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::require;
use super::jobs::not_found;
use super::json::read_json;
use super::problem::problem;
use crate::access::{ApiKey, Scope};
use crate::directory::ApprovalOutcome;
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::Slug;

/// A change that needs an approval.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingChange)]
pub(super) struct PendingChangeResponse {
    id: String,
    pub biller: Slug,
    /// Describes the change.
    summary: String,
    /// The requester.
    #[schema(examples("key 3f1b09ac77de"))]
    requested_by: String,
    #[schema(format = DateTime)]
    requested_at: String,
}

/// Pending changes of the billers that the key has access to.
#[derive(Serialize, ToSchema)]
pub(super) struct PendingChangeList {
    changes: Vec<PendingChangeResponse>,
}

/// The decision on a pending change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalDecision {
    /// Apply the change (`true`) or reject it (`false`).
    approve: bool,
}

/// List pending changes
///
/// Changes of where users of a migrated biller sign in, for the billers that the key has access to.
#[utoipa::path(
    get, path = paths::CHANGES, operation_id = "listPendingChanges", tag = "Billers",
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The changes.", body = PendingChangeList)),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Json<PendingChangeList>, HttpError> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    Ok(Json(PendingChangeList { changes: visible_to(&state, &key).await? }))
}

pub(super) async fn visible_to(state: &AppState, key: &ApiKey) -> Result<Vec<PendingChangeResponse>, HttpError> {
    let (billers, pending) = (state.directory.billers().await?, state.directory.pending_changes().await?);
    let visible = pending.iter().filter_map(|change| {
        let slug = &billers.by_id(&change.biller_id)?.slug;
        key.permits_biller(slug).then(|| PendingChangeResponse {
            id: change.id.clone(),
            biller: slug.clone(),
            summary: change.summary.clone(),
            requested_by: change.requested_by.clone(),
            requested_at: change.requested_at.to_string(),
        })
    });
    Ok(visible.collect())
}

/// Approve or reject a change
///
/// The requester of a change may withdraw it by rejecting it, and cannot approve it.
#[utoipa::path(
    post, path = paths::CHANGE, operation_id = "decidePendingChange", tag = "Billers",
    params(("id" = String, Path, description = "Id of the change.")),
    request_body(content = ApprovalDecision, example = json!({ "approve": true })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 204, description = "The change was applied or rejected."),
        (status = 403, description = "`requester_cannot_approve`: the requester of a change cannot approve it."),
        (status = 409, description = "`host_taken`: another biller has one of the hosts by now."),
    ),
)]
pub(super) async fn decide(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, HttpError> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let request: ApprovalDecision = read_json(&headers, &body)?;
    if !visible_to(&state, &key).await?.iter().any(|change| change.id == id) {
        return Err(not_found());
    }
    match state.directory.decide_change(&id, request.approve, &state.actor_context(key.actor())).await? {
        ApprovalOutcome::Done => Ok(StatusCode::NO_CONTENT),
        ApprovalOutcome::NotFound => Err(not_found()),
        ApprovalOutcome::RequesterCannotApprove => {
            let detail = "The requester of a change cannot approve it.";
            Err(problem(StatusCode::FORBIDDEN, "requester_cannot_approve", detail))
        }
        ApprovalOutcome::HostTaken => {
            let detail = "Another biller has one of the hosts by now.";
            Err(problem(StatusCode::CONFLICT, "host_taken", detail))
        }
    }
}
