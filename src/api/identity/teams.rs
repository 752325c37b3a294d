//! `teams`: the billers, and who belongs to them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::pagination::{Links, ListQuery, Pagination, Totals};
use super::{biller_scope, http_error, not_found, with_field_error};
use crate::access::{ApiKey, Scope};
use crate::api::auth::require;
use crate::api::idempotency::{self, IdempotencyKeyHeader};
use crate::api::json::read_json;
use crate::directory::{Biller, Billers, MembershipChange, UserFilter, UserRecord, UserStatus};
use crate::state::AppState;
use crate::web::HttpError;
use signpost_core::{BillerId, UserId};

/// A team: a biller.
#[derive(Serialize, ToSchema)]
pub(super) struct Team {
    pub id: BillerId,
    pub name: String,
}

/// A page of teams.
#[derive(Serialize, ToSchema)]
pub(super) struct TeamPage {
    pub teams: Vec<Team>,
    pub links: Links,
    /// With `include_totals`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub totals: Option<Totals>,
}

/// A member of a team.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    id: UserId,
    email: String,
}

/// A page of members.
#[derive(Serialize, ToSchema)]
pub(super) struct MemberPage {
    users: Vec<Member>,
    links: Links,
    /// With `include_totals`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    totals: Option<Totals>,
}

/// Users to be set, added or removed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MembershipRequest {
    user_ids: Vec<UserId>,
}

/// How many became members, and how many are none any more.
#[derive(Serialize, ToSchema)]
pub(super) struct MembershipResult {
    added: u64,
    removed: u64,
}

/// List the teams
///
/// A team is a biller.
#[utoipa::path(
    get, path = "/teams", operation_id = "listTeams", tag = "Identity",
    params(
        Pagination,
        ("name" = Option<String>, Query, description = "Those with exactly this name."),
        ("name_prefix" = Option<String>, Query, description = "Those whose name begins so."),
    ),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses(
        (status = 200, description = "A page of teams.", body = TeamPage),
        (status = 400, description = "`invalid_parameter`: see `detail`."),
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Json<TeamPage>, HttpError> {
    let key = require(&state, &headers, Scope::IdentityRead).await?;
    let query = ListQuery::parse(&state, &key, &uri, &["name", "name_prefix"])?;
    let billers = state.directory.billers().await?;
    let matches_filter = |biller: &&Arc<Biller>| {
        key.permits_biller(&biller.slug)
            && query.filter("name").is_none_or(|name| biller.name == name)
            && query.filter("name_prefix").is_none_or(|prefix| biller.name.starts_with(prefix))
    };
    Ok(Json(page(&state, &query, billers.iter().filter(matches_filter).collect())))
}

/// List the members of a team
///
/// All but the deleted ones.
#[utoipa::path(
    get, path = "/teams/{id}/members", operation_id = "listTeamMembers", tag = "Identity",
    params(("id" = BillerId, Path), Pagination),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses(
        (status = 200, description = "A page of members.", body = MemberPage),
        (status = 400, description = "`invalid_parameter`: see `detail`."),
    ),
)]
pub(super) async fn members(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<MemberPage>, HttpError> {
    let key = require(&state, &headers, Scope::IdentityRead).await?;
    let query = ListQuery::parse(&state, &key, &uri, &[])?;
    let billers = state.directory.billers().await?;
    let team = team(&key, &billers, &id)?;
    let filter = UserFilter {
        email: None,
        statuses: vec![UserStatus::Created, UserStatus::Active, UserStatus::Suspended],
        billers: Some(vec![team.id.clone()]),
    };
    let records = state.directory.list_users(&filter, &query.after, query.row_limit()).await?;
    let (records, links) = query.page(&state, records, |record| record.id.as_str());
    let users = records.into_iter().map(|one| Member { id: one.id, email: one.email }).collect();
    let totals = match query.include_totals {
        true => Some(state.directory.count_members(&team.id).await?),
        false => None,
    };
    let totals = totals.map(|all| query.totals(usize::try_from(all).unwrap_or_default()));
    Ok(Json(MemberPage { users, links, totals }))
}

/// Set the members of a team
///
/// The list is the exact list of members from then on. Atomic, and safe to repeat; of two at once one is the result.
#[utoipa::path(
    post, path = "/teams/{id}/members/set", operation_id = "setTeamMembers", tag = "Identity",
    params(("id" = BillerId, Path), IdempotencyKeyHeader),
    request_body(content = MembershipRequest, example = json!({ "user_ids": ["01a00000-0000-7000-8000-000000000000"] })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 200, description = "What came of it.", body = MembershipResult, content_type = "application/json"),
        (status = 409, description = "`user_deleted`: a deleted user cannot be a member.\n`username_taken`, `email_taken`: \
            by somebody else there. Nothing was changed."),
    ),
)]
pub(super) async fn set(
    state: State<AppState>,
    uri: OriginalUri,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    update_members(&state, &uri, &id, &headers, &body, MembershipChange::Set).await
}

/// Add members to a team
///
/// Who is a member already stays one.
#[utoipa::path(
    post, path = "/teams/{id}/members/add", operation_id = "addTeamMembers", tag = "Identity",
    params(("id" = BillerId, Path), IdempotencyKeyHeader),
    request_body(content = MembershipRequest, example = json!({ "user_ids": ["01a00000-0000-7000-8000-000000000000"] })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 200, description = "What came of it.", body = MembershipResult, content_type = "application/json"),
        (status = 409, description = "`user_deleted`: a deleted user cannot be a member.\n`username_taken`, `email_taken`: \
            by somebody else there. Nothing was changed."),
    ),
)]
pub(super) async fn add(
    state: State<AppState>,
    uri: OriginalUri,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    update_members(&state, &uri, &id, &headers, &body, MembershipChange::Add).await
}

/// Remove members from a team
///
/// An id that does not exist is an error, and nothing is removed.
#[utoipa::path(
    post, path = "/teams/{id}/members/remove", operation_id = "removeTeamMembers", tag = "Identity",
    params(("id" = BillerId, Path), IdempotencyKeyHeader),
    request_body(content = MembershipRequest, example = json!({ "user_ids": ["01a00000-0000-7000-8000-000000000000"] })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 200, description = "What came of it.", body = MembershipResult, content_type = "application/json"),
    ),
)]
pub(super) async fn remove(
    state: State<AppState>,
    uri: OriginalUri,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    update_members(&state, &uri, &id, &headers, &body, MembershipChange::Remove).await
}

async fn update_members(
    state: &AppState,
    uri: &Uri,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
    change: MembershipChange,
) -> Result<Response, HttpError> {
    let key = require(state, headers, Scope::IdentityWrite).await?;
    let billers = state.directory.billers().await?;
    let team = team(&key, &billers, id)?;
    let MembershipRequest { user_ids } = read_json(headers, body)?;
    let idempotency_key = idempotency::key(headers, &key, uri.path(), &json!(user_ids))?;
    let mut tx = state.db.begin().await?;
    if let Some(idempotency_key) = &idempotency_key
        && !idempotency_key.claim(&mut tx, state.clock.now()).await?
    {
        drop(tx);
        return Ok(json_response(
            idempotency::replay(state, idempotency_key).await?.ok_or_else(idempotency::in_progress)?,
        ));
    }
    let (scope, actor) = (biller_scope(&key, &billers), state.actor_context(key.actor()));
    let done = state.directory.update_members_in(&mut tx, team, (change, &user_ids), scope.as_deref(), &actor).await;
    let tally = done.map_err(|error| http_error(error, Some("user_ids")))?;
    let body = json!(MembershipResult { added: tally.added, removed: tally.removed }).to_string();
    if let Some(idempotency_key) = &idempotency_key {
        idempotency_key.store_response_in(&mut tx, StatusCode::OK.as_u16(), &body).await?;
    }
    tx.commit().await?;
    tracing::info!(biller = %team.slug, key = key.id, added = tally.added, removed = tally.removed, "members were changed");
    Ok(json_response(body))
}

fn json_response(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The team with this id, if the key reaches it.
pub(super) fn team<'b>(key: &ApiKey, billers: &'b Billers, id: &str) -> Result<&'b Arc<Biller>, HttpError> {
    let found = billers.by_id(&BillerId::from(id.to_owned()));
    found.filter(|biller| key.permits_biller(&biller.slug)).ok_or_else(not_found)
}

/// The teams of a body.
pub(super) fn team_ids(key: &ApiKey, billers: &Billers, ids: &[&str]) -> Result<Vec<Arc<Biller>>, HttpError> {
    let one = |(index, id): (usize, &&str)| {
        let found = team(key, billers, id).cloned();
        found.map_err(|error| with_field_error(format!("#/teams/{index}/id"), "there is no such team", error))
    };
    ids.iter().enumerate().map(one).collect()
}

/// The teams of a user that the key reaches, in the order of the list.
pub(super) fn visible_teams<'b>(key: &ApiKey, billers: &'b Billers, record: &UserRecord) -> Vec<&'b Arc<Biller>> {
    let is_deleted = record.status == UserStatus::Deleted;
    let belongs = |biller: &&Arc<Biller>| {
        !is_deleted && key.permits_biller(&biller.slug) && record.billers.iter().any(|(id, _)| *id == biller.id)
    };
    billers.iter().filter(belongs).collect()
}

/// A team, as machines see it.
pub(super) fn team_response(biller: &Biller) -> Team {
    Team { id: biller.id.clone(), name: biller.name.clone() }
}

/// A page of teams, by their permanent slugs.
pub(super) fn page(state: &AppState, query: &ListQuery, teams: Vec<&Arc<Biller>>) -> TeamPage {
    let totals = query.include_totals.then(|| query.totals(teams.len()));
    let rest = teams.into_iter().filter(|biller| biller.slug.as_str() > query.after.as_str()).collect();
    let (teams, links) = query.page(state, rest, |biller| biller.slug.as_str());
    TeamPage { teams: teams.iter().map(|biller| team_response(biller)).collect(), links, totals }
}
