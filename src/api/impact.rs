//! `POST /api/v1/impact`: what would a change do to everybody?

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::require;
use super::jobs::not_found;
use super::json::read_json;
use super::problem::{invalid_fields, problem};
use crate::access::Scope;
use crate::audit::{Action, AuditEvent};
use crate::routing::{Impact, ProposedChange};
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::decision::CiamState;
use signpost_core::{Rollout, Slug};

/// A change of one biller; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImpactRequest {
    biller: Slug,
    /// `active` enables or resumes it from now on, `suspended` switches it off.
    #[serde(default)]
    state: Option<CiamState>,
    /// For whom it would count as moved.
    #[serde(default)]
    rollout: Option<Rollout>,
}

/// Ask what a change would do to everybody
///
/// How many usernames would be taken elsewhere, from where to where, with masked samples: everybody whom the change concerns is
/// decided before and after it. Nothing is changed. Usernames span billers, so a key that is limited to some may not ask.
///
/// A million memberships take some seconds. One count goes on at a time, others wait; what is not counted within two minutes is
/// answered 503.
#[utoipa::path(
    post, path = paths::IMPACT, operation_id = "previewImpact", tag = "Simulations",
    request_body(content = ImpactRequest, example = json!({ "biller": "maple-electric", "state": "suspended" })),
    security(("key" = [Scope::Simulate.as_str()])),
    responses(
        (status = 200, description = "What would change.", body = Impact),
        (status = 403, description = "`api_key_restricted`: the key is limited to some billers."),
        (status = 404, description = "`not_found`: there is no such biller."),
        (status = 422, description = "`validation_failed`: see `errors`."),
        (status = 429, description = "`rate_limited`: the key's questions of this minute, or of this day, are used up."),
    ),
)]
pub(super) async fn preview(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Impact>, HttpError> {
    let key = require(&state, &headers, Scope::Simulate).await?;
    if key.billers.is_some() {
        let detail = "The API key is limited to some billers, and usernames span them.";
        return Err(problem(StatusCode::FORBIDDEN, "api_key_restricted", detail));
    }
    if !state.limits.allow_simulation(&key.id) {
        return Err(problem(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many questions in this minute, or today; ask again later.",
        ));
    }
    let ImpactRequest { biller, state: ciam, rollout } = read_json(&headers, &body)?;
    let change = ProposedChange { state: ciam, rollout };
    let known = state.directory.biller_by_slug(&biller).await?.ok_or_else(not_found)?;
    let after = change.apply_to(&known).map_err(|errors| invalid_fields(&errors))?;
    let event = AuditEvent::new(Action::ImpactPreviewed).at(&biller).with("change", change.summary());
    state.actor_context(key.actor()).record_alone(&state.db, event).await?;
    Ok(Json(state.routing.impact(&[after], &|_| {}).await?))
}
