//! `POST /api/v1/handoffs/redeem`: a portal learns who is coming.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::require;
use super::json::read_json;
use super::problem::problem;
use crate::access::Scope;
use crate::handoffs::RedeemedHandoff;
use crate::state::AppState;
use crate::web::biller_sessions::BillerSessions;
use crate::web::{HttpError, paths};

/// What a browser brought along.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HandoffToken {
    /// The hand-off.
    token: String,
}

/// Redeem a hand-off
///
/// A portal or the legacy login learns who is coming, and why. A hand-off counts once, for some minutes, and for the system
/// that it was made for.
#[utoipa::path(
    post, path = paths::REDEEM, operation_id = "redeemHandoff", tag = "Handoffs",
    request_body(content = HandoffToken, example = json!({ "token": "the value of the parameter token" })),
    security(("key" = [Scope::HandoffRedeem.as_str()])),
    responses(
        (status = 200, description = "Who is coming.", body = RedeemedHandoff),
        (status = 404, description = "`no_such_handoff`: it was used, is too old, or is not for this key."),
    ),
)]
pub(super) async fn redeem(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<RedeemedHandoff>, HttpError> {
    let key = require(&state, &headers, Scope::HandoffRedeem).await?;
    let request: HandoffToken = read_json(&headers, &body)?;
    let sessions = BillerSessions::new(&state);
    let find_session = |id: String| async move { Ok(sessions.portal_session(&id).await?) };
    match state.handoffs().redeem(&key, &request.token, find_session).await? {
        Some(redeemed) => Ok(Json(redeemed)),
        None => {
            let detail = "No such hand-off: it was used, is too old, or is not for this key.";
            Err(problem(StatusCode::NOT_FOUND, "no_such_handoff", detail))
        }
    }
}
