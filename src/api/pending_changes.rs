//! `/api/v1/changes`: pending approvals.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::ApiKeyFor;
use super::json::JsonBody;
use super::problem::{not_found, problem};
use crate::access::{ApiKey, Scope, scope};
use crate::directory::{ApprovalOutcome, ApprovalRefusal, Directory, PendingChange};
use crate::web::{HttpError, paths};
use signpost_core::Slug;

/// A change of a biller that waits for approval.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingChange)]
pub(crate) struct PendingChangeResponse {
    id: String,
    pub biller: Slug,
    /// What would change, as a sentence.
    summary: String,
    /// The requester.
    #[schema(examples("key 3f1b09ac77de"))]
    requested_by: String,
    #[schema(format = DateTime)]
    requested_at: String,
}

/// Pending changes of the billers that the API key has access to.
#[derive(Serialize, ToSchema)]
pub(crate) struct PendingChangeList {
    pub changes: Vec<PendingChangeResponse>,
}

/// The decision of the approver.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalDecision {
    /// Whether to make the change or to discard it.
    approve: bool,
}

/// List pending changes
///
/// Returns the changes of where a migrated biller's customers sign in that wait for approval, for the billers that the API key has
/// access to.
#[utoipa::path(
    get, path = paths::CHANGES, operation_id = "listPendingChanges", tag = "Billers",
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The pending changes.", body = PendingChangeList)),
)]
pub(super) async fn list(
    key: ApiKeyFor<scope::BillersRead>,
    State(directory): State<Directory>,
) -> Result<Json<PendingChangeList>, HttpError> {
    Ok(Json(PendingChangeList { changes: visible_to(&directory, &key).await? }))
}

impl PendingChangeResponse {
    pub(crate) fn new(change: &PendingChange, biller: &Slug) -> Self {
        Self {
            id: change.id.clone(),
            biller: biller.clone(),
            summary: change.summary.clone(),
            requested_by: change.requested_by.clone(),
            requested_at: change.requested_at.to_string(),
        }
    }
}

pub(super) async fn visible_to(directory: &Directory, key: &ApiKey) -> Result<Vec<PendingChangeResponse>, HttpError> {
    let (billers, pending) = (directory.billers().await?, directory.pending_changes().await?);
    let visible = pending.iter().filter_map(|change| {
        let slug = &billers.by_id(&change.biller_id)?.slug;
        key.permits_biller(slug).then(|| PendingChangeResponse::new(change, slug))
    });
    Ok(visible.collect())
}

/// Decide a pending change
///
/// Approves the change, which takes effect at once, or rejects it. The requester may withdraw the change with `approve: false`, and
/// cannot approve it. A key approves only changes that were requested after its creation.
#[utoipa::path(
    post, path = paths::CHANGE, operation_id = "decidePendingChange", tag = "Billers",
    params(("id" = String, Path, description = "The id of the pending change.")),
    request_body(content = ApprovalDecision, example = json!({ "approve": true })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 204, description = "The change is made or discarded."),
        (status = 403, description = "`requester_cannot_approve`: the requester cannot approve the change.\n`api_key_newer_than_change`: the API key was created after the change was requested."),
        (status = 409, description = "`host_taken`: another biller has one of the hosts now."),
    ),
)]
pub(super) async fn decide(
    key: ApiKeyFor<scope::BillersWrite>,
    State(directory): State<Directory>,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<ApprovalDecision>,
) -> Result<StatusCode, HttpError> {
    if !visible_to(&directory, &key).await?.iter().any(|change| change.id == id) {
        return Err(not_found());
    }
    match directory.decide_change(&id, request.approve, key.actor_context()).await? {
        ApprovalOutcome::Done => Ok(StatusCode::NO_CONTENT),
        ApprovalOutcome::NotFound => Err(not_found()),
        ApprovalOutcome::Refused(refusal) => {
            let code = match refusal {
                ApprovalRefusal::SamePrincipal { .. } => "requester_cannot_approve",
                ApprovalRefusal::KeyTooNew { .. } => "api_key_newer_than_change",
            };
            let detail = format!("This API key cannot approve the change: {refusal}.");
            Err(problem(StatusCode::FORBIDDEN, code, &detail))
        }
        ApprovalOutcome::HostTaken => {
            let detail = "Another biller has one of the hosts now.";
            Err(problem(StatusCode::CONFLICT, "host_taken", detail))
        }
    }
}
