//! `POST /api/v1/impact`: what would a change do to everybody?

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::require;
use super::jobs::unknown;
use super::json::read_json;
use super::problem::{problem, wrong_fields};
use crate::access::Scope;
use crate::audit::{Act, Action};
use crate::routing::{Change, Impact, RolloutWish};
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::Slug;
use signpost_core::decision::CiamState;

/// A change of one biller; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImpactQuestion {
    biller: Slug,
    /// `active` enables or resumes it from now on, `suspended` switches it off.
    #[serde(default)]
    state: Option<CiamState>,
    /// For whom it would count as moved.
    #[serde(default)]
    rollout: Option<RolloutWish>,
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
    request_body(content = ImpactQuestion, example = json!({ "biller": "maple-electric", "state": "suspended" })),
    security(("key" = [Scope::Simulate.as_str()])),
    responses(
        (status = 200, description = "What would change.", body = Impact),
        (status = 403, description = "`key_limited`: the key is limited to some billers."),
        (status = 404, description = "`not_found`: there is no such biller."),
        (status = 422, description = "`wrong_fields`: see `errors`."),
        (status = 429, description = "`too_many`: the key's questions of this minute, or of this day, are used up."),
    ),
)]
pub(super) async fn preview(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Impact>, Refusal> {
    let key = require(&state, &headers, Scope::Simulate).await?;
    if key.billers.is_some() {
        let detail = "The API key is limited to some billers, and usernames span them.";
        return Err(problem(StatusCode::FORBIDDEN, "key_limited", detail));
    }
    if !state.limits.allow_simulation(&key.id) {
        return Err(problem(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many",
            "Too many questions in this minute, or today; ask again later.",
        ));
    }
    let ImpactQuestion { biller, state: ciam, rollout } = read_json(&headers, &body)?;
    let change = Change { state: ciam, rollout };
    let known = state.directory.named(&biller).await?.ok_or_else(unknown)?;
    let after = change.applied(&known).map_err(|why| wrong_fields([("rollout", why)]))?;
    let act = Act::of(Action::ImpactAsked).at(&biller).with("change", change.told());
    state.by(key.actor()).note_alone(&state.db, act).await?;
    Ok(Json(state.routing.impact(&[after], &|_| {}).await?))
}
