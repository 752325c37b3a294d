//! `/api/v1/changes`: changes of billers that wait for a second person.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::require;
use super::jobs::unknown;
use super::problem::{problem, read_json};
use crate::access::{ApiKey, Scope};
use crate::directory::Decided;
use crate::state::AppState;
use crate::web::Refusal;

/// `GET`: those that wait, of the billers that the key reaches.
pub(super) async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    Ok(Json(json!({ "changes": waiting(&state, &key).await? })))
}

pub(super) async fn waiting(state: &AppState, key: &ApiKey) -> Result<Vec<Value>, Refusal> {
    let (billers, pending) = (state.directory.billers().await?, state.directory.pending_changes().await?);
    let shown = pending.iter().filter_map(|change| {
        let slug = &billers.by_id(&change.biller_id)?.slug;
        key.reaches(slug).then(|| {
            json!({
                "id": change.id, "biller": slug, "summary": change.summary, "asked_by": change.asked_by,
                "asked_at": change.asked_at.to_string(),
            })
        })
    });
    Ok(shown.collect())
}

/// `POST …/{id} {"confirm": true|false}`: 204.
pub(super) async fn decide(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        confirm: bool,
    }
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let request: Request = read_json(&headers, &body)?;
    if !waiting(&state, &key).await?.iter().any(|change| change["id"] == id) {
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
