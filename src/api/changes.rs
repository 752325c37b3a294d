//! `/api/v1/changes`: changes of billers that wait for a second person.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::require;
use super::jobs::unknown;
use super::json::read_json;
use super::problem::problem;
use crate::access::{ApiKey, Scope};
use crate::directory::Decided;
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::Slug;

/// A change that waits for a second person.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingChange)]
pub(super) struct PendingAnswer {
    id: String,
    pub biller: Slug,
    /// What would change, in words.
    summary: String,
    /// Who asked.
    #[schema(examples("key 3f1b09ac77de"))]
    asked_by: String,
    #[schema(format = DateTime)]
    asked_at: String,
}

/// What waits, of the billers that the key reaches.
#[derive(Serialize, ToSchema)]
pub(super) struct PendingList {
    changes: Vec<PendingAnswer>,
}

/// What the second person says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeDecision {
    /// Make the change, or drop it.
    confirm: bool,
}

/// List what waits for a second person
///
/// Changes of where a moved biller's people sign in, of the billers that the key reaches.
#[utoipa::path(
    get, path = paths::CHANGES, operation_id = "listChanges", tag = "Billers",
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The changes.", body = PendingList)),
)]
pub(super) async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<PendingList>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    Ok(Json(PendingList { changes: waiting(&state, &key).await? }))
}

pub(super) async fn waiting(state: &AppState, key: &ApiKey) -> Result<Vec<PendingAnswer>, Refusal> {
    let (billers, pending) = (state.directory.billers().await?, state.directory.pending_changes().await?);
    let shown = pending.iter().filter_map(|change| {
        let slug = &billers.by_id(&change.biller_id)?.slug;
        key.reaches(slug).then(|| PendingAnswer {
            id: change.id.clone(),
            biller: slug.clone(),
            summary: change.summary.clone(),
            asked_by: change.asked_by.clone(),
            asked_at: change.asked_at.to_string(),
        })
    });
    Ok(shown.collect())
}

/// Confirm or drop a change
///
/// Who asked for a change may drop it, and cannot confirm it.
#[utoipa::path(
    post, path = paths::CHANGE, operation_id = "decideChange", tag = "Billers",
    params(("id" = String, Path, description = "Of the change.")),
    request_body(content = ChangeDecision, example = json!({ "confirm": true })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 204, description = "It is made, or dropped."),
        (status = 403, description = "`same_person`: who asked for a change cannot confirm it."),
        (status = 409, description = "`host_taken`: one of its hosts is another biller's by now."),
    ),
)]
pub(super) async fn decide(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let request: ChangeDecision = read_json(&headers, &body)?;
    if !waiting(&state, &key).await?.iter().any(|change| change.id == id) {
        return Err(unknown());
    }
    match state.directory.decide_change(&id, request.confirm, &state.by(key.actor())).await? {
        Decided::Done => Ok(StatusCode::NO_CONTENT),
        Decided::Unknown => Err(unknown()),
        Decided::SamePerson => {
            let detail = "Who asked for a change cannot confirm it.";
            Err(problem(StatusCode::FORBIDDEN, "same_person", detail))
        }
        Decided::HostTaken => {
            let detail = "One of its hosts is another biller's by now.";
            Err(problem(StatusCode::CONFLICT, "host_taken", detail))
        }
    }
}
