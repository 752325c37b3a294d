//! `POST /api/v1/handoffs/redeem`: a portal learns who is coming.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::auth::require;
use super::problem::{problem, read_json};
use crate::access::Scope;
use crate::state::AppState;
use crate::web::Refusal;
use crate::web::handoffs::{self, Redeemed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    token: String,
}

/// Redeems a hand-off once. Used, expired, foreign: 404.
pub(super) async fn redeem(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Redeemed>, Refusal> {
    let key = require(&state, &headers, Scope::HandoffRedeem).await?;
    let request: Request = read_json(&headers, &body)?;
    match handoffs::redeem(&state, &key, &request.token).await? {
        Some(redeemed) => Ok(Json(redeemed)),
        None => {
            let detail = "No such hand-off: it was used, is too old, or is not for this key.";
            Err(problem(StatusCode::NOT_FOUND, "no_such_handoff", detail))
        }
    }
}
