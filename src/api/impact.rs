//! `POST /api/v1/impact`: what would a change do to everybody?

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::auth::require;
use super::jobs::unknown;
use super::json::read_json;
use super::problem::{problem, wrong_fields};
use crate::access::Scope;
use crate::audit::{Act, Action};
use crate::decision::CiamState;
use crate::kernel::Slug;
use crate::routing::{Change, Impact, RolloutWish};
use crate::state::AppState;
use crate::web::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    biller: Slug,
    #[serde(default)]
    state: Option<CiamState>,
    #[serde(default)]
    rollout: Option<RolloutWish>,
}

/// Goes through the whole directory, as far as it is concerned; nothing is changed. Names span billers, so a key that is
/// limited to some would learn of the others.
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
        return Err(problem(StatusCode::TOO_MANY_REQUESTS, "too_many", "Too many questions; ask again in a minute."));
    }
    let Request { biller, state: ciam, rollout } = read_json(&headers, &body)?;
    let change = Change { state: ciam, rollout };
    let known = state.directory.named(&biller).await?.ok_or_else(unknown)?;
    let after = change.applied(&known).map_err(|why| wrong_fields([("rollout", why)]))?;
    let act = Act::of(Action::ImpactAsked).at(&biller).with("change", change.told());
    state.by(key.actor()).note_alone(&state.db, act).await?;
    Ok(Json(state.routing.impact(&[after], &|_| {}).await?))
}
