//! `/api/v1/changes`: changes of billers that wait for a second person.

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

/// A change that waits for a second person.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingChange)]
pub(super) struct PendingChangeResponse {
    id: String,
    pub biller: Slug,
    /// What would change, in words.
    summary: String,
    /// Who asked.
    #[schema(examples("key 3f1b09ac77de"))]
    requested_by: String,
    #[schema(format = DateTime)]
    requested_at: String,
}

/// What waits, of the billers that the key reaches.
#[derive(Serialize, ToSchema)]
pub(super) struct PendingChangeList {
    changes: Vec<PendingChangeResponse>,
}

/// What the second person says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalDecision {
    /// Make the change, or drop it.
    approve: bool,
}

/// List what waits for a second person
///
/// Changes of where a moved biller's people sign in, of the billers that the key reaches.
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
    let shown = pending.iter().filter_map(|change| {
        let slug = &billers.by_id(&change.biller_id)?.slug;
        key.permits_biller(slug).then(|| PendingChangeResponse {
            id: change.id.clone(),
            biller: slug.clone(),
            summary: change.summary.clone(),
            requested_by: change.requested_by.clone(),
            requested_at: change.requested_at.to_string(),
        })
    });
    Ok(shown.collect())
}

/// Confirm or drop a change
///
/// Who asked for a change may drop it, and cannot confirm it.
#[utoipa::path(
    post, path = paths::CHANGE, operation_id = "decidePendingChange", tag = "Billers",
    params(("id" = String, Path, description = "Of the change.")),
    request_body(content = ApprovalDecision, example = json!({ "approve": true })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 204, description = "It is made, or dropped."),
        (status = 403, description = "`requester_cannot_approve`: who asked for a change cannot confirm it."),
        (status = 409, description = "`host_taken`: one of its hosts is another biller's by now."),
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
            let detail = "Who asked for a change cannot confirm it.";
            Err(problem(StatusCode::FORBIDDEN, "requester_cannot_approve", detail))
        }
        ApprovalOutcome::HostTaken => {
            let detail = "One of its hosts is another biller's by now.";
            Err(problem(StatusCode::CONFLICT, "host_taken", detail))
        }
    }
}
