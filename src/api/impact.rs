//! `POST /api/v1/impact`: the effect of a change on all users.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{check_simulation_limit, require_all_billers};
use super::auth::ApiKeyFor;
use super::json::JsonBody;
use super::problem::{invalid_fields, not_found};
use crate::access::{RateLimits, Scope, scope};
use crate::audit::{Action, AuditEvent};
use crate::db::Db;
use crate::directory::Directory;
use crate::routing::{Impact, ProposedChange, Routing};
use crate::web::{HttpError, paths};
use signpost_core::decision::CiamState;
use signpost_core::{Rollout, Slug};

/// A proposed change of one biller. Omitted fields stay as they are.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImpactRequest {
    biller: Slug,
    /// `active` enables or resumes the biller now; `suspended` suspends it.
    #[serde(default)]
    state: Option<CiamState>,
    /// Whom the migration would include.
    #[serde(default)]
    rollout: Option<Rollout>,
}

/// Preview the impact of a change
///
/// Returns how many usernames would be routed elsewhere, from where to where, with masked samples. Every username that the change
/// affects is decided twice, before and after it. Nothing is changed. Usernames span billers, so the API key must not be limited to
/// some billers.
///
/// A million memberships take a few seconds. One preview runs at a time and others wait; after two minutes the response is 503.
#[utoipa::path(
    post, path = paths::IMPACT, operation_id = "previewImpact", tag = "Simulations",
    request_body(content = ImpactRequest, example = json!({ "biller": "maple-electric", "state": "suspended" })),
    security(("key" = [Scope::Simulate.as_str()])),
    responses(
        (status = 200, description = "The impact.", body = Impact),
        (status = 403, description = "`api_key_restricted`: the API key is limited to some billers."),
        (status = 404, description = "`not_found`: the biller does not exist."),
        (status = 422, description = "`validation_failed`: some fields are invalid; see `errors`."),
        (status = 429, description = "`rate_limited`: the API key has used up its simulations for this minute or this day."),
    ),
)]
pub(super) async fn preview(
    key: ApiKeyFor<scope::Simulate>,
    State(routing): State<Routing>,
    State(directory): State<Directory>,
    State(limits): State<Arc<RateLimits>>,
    State(db): State<Db>,
    JsonBody(request): JsonBody<ImpactRequest>,
) -> Result<Json<Impact>, HttpError> {
    require_all_billers(&key, "Usernames span billers, and the API key is limited to some billers.")?;
    check_simulation_limit(&limits, &key)?;
    let ImpactRequest { biller, state: ciam, rollout } = request;
    let change = ProposedChange { state: ciam, rollout };
    let known = directory.biller_by_slug(&biller).await?.ok_or_else(not_found)?;
    let after = change.apply_to(&known).map_err(|errors| invalid_fields(&errors))?;
    let event = AuditEvent::new(Action::ImpactPreviewed).at(&biller).with("change", change.summary());
    key.actor_context().record_alone(&db, event).await?;
    Ok(Json(routing.impact(&[after], &|_| {}).await?))
}
