//! `POST /api/v1/handoffs/redeem`: portals and the legacy login exchange a handoff token for its payload.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::ApiKeyFor;
use super::json::JsonBody;
use super::problem::problem;
use crate::access::{Scope, scope};
use crate::handoffs::{Handoffs, RedeemedHandoff};
use crate::sessions::BillerSessions;
use crate::web::{HttpError, paths};

/// A handoff token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HandoffToken {
    /// The query parameter `token` with which the browser arrived.
    token: String,
}

/// Redeem a handoff token
///
/// Tells a portal or the legacy login who is signing in, and why. Handoff tokens are single-use, expire after minutes, and belong to
/// one system.
#[utoipa::path(
    post, path = paths::REDEEM, operation_id = "redeemHandoff", tag = "Handoffs",
    request_body(content = HandoffToken, example = json!({ "token": "the value of the parameter token" })),
    security(("key" = [Scope::HandoffRedeem.as_str()])),
    responses(
        (status = 200, description = "The handoff payload.", body = RedeemedHandoff),
        (status = 404, description = "`no_such_handoff`: the token is used, expired, or not for this API key."),
    ),
)]
pub(super) async fn redeem(
    key: ApiKeyFor<scope::HandoffRedeem>,
    State(handoffs): State<Handoffs>,
    State(sessions): State<BillerSessions>,
    JsonBody(request): JsonBody<HandoffToken>,
) -> Result<Json<RedeemedHandoff>, HttpError> {
    match handoffs.redeem(&key, &request.token, &sessions).await? {
        Some(redeemed) => Ok(Json(redeemed)),
        None => {
            let detail = "The handoff token is used, expired, or not for this API key.";
            Err(problem(StatusCode::NOT_FOUND, "no_such_handoff", detail))
        }
    }
}
