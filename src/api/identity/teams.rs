//! `/teams`: billers and their members.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::Identity;
use super::errors::{biller_scope, http_error, with_field_error};
use crate::access::{ApiKey, Scope, scope};
use crate::api::auth::ApiKeyFor;
use crate::api::idempotency::{Attempt, IdempotencyKeyHeader};
use crate::api::json::JsonBody;
use crate::api::pagination::{Links, ListQuery, Pagination, Totals};
use crate::api::problem::not_found;
use crate::directory::{Biller, Billers, MembershipChange, UserFilter, UserRecord, UserStatus};
use crate::web::HttpError;
use signpost_core::paths::identity as paths;
use signpost_core::{BillerId, Slug, UserId};

/// A team, which is a biller.
#[derive(Serialize, ToSchema)]
pub(crate) struct Team {
    pub id: BillerId,
    pub name: String,
}

/// A page of teams.
#[derive(Serialize, ToSchema)]
pub(super) struct TeamPage {
    pub teams: Vec<Team>,
    pub links: Links,
    /// Present with `include_totals`.
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
    /// Present with `include_totals`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    totals: Option<Totals>,
}

/// The users to set, add or remove.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MembershipRequest {
    user_ids: Vec<UserId>,
}

/// How many users were added and removed.
#[derive(Serialize, ToSchema)]
pub(super) struct MembershipResult {
    added: u64,
    removed: u64,
}

/// List teams
///
/// Returns the teams that the API key has access to. A team is a biller.
#[utoipa::path(
    get, path = paths::TEAMS, operation_id = "listTeams", tag = "Identity",
    params(
        Pagination,
        ("name" = Option<String>, Query, description = "Filters by exact name."),
        ("name_prefix" = Option<String>, Query, description = "Filters by the beginning of the name."),
    ),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses(
        (status = 200, description = "A page of teams.", body = TeamPage),
        (status = 400, description = "`invalid_parameter`: a query parameter is invalid; see `detail`."),
    ),
)]
pub(super) async fn list(
    key: ApiKeyFor<scope::IdentityRead>,
    State(identity): State<Identity>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<TeamPage>, HttpError> {
    let query = ListQuery::parse(identity.cursors, &key, &uri, &["name", "name_prefix"])?;
    let billers = identity.directory.billers().await?;
    let matches_filter = |biller: &&Arc<Biller>| {
        key.permits_biller(&biller.slug)
            && query.filter("name").is_none_or(|name| biller.name == name)
            && query.filter("name_prefix").is_none_or(|prefix| biller.name.starts_with(prefix))
    };
    Ok(Json(page(&query, billers.iter().filter(matches_filter).collect())))
}

/// List team members
///
/// Deleted users are not members.
#[utoipa::path(
    get, path = paths::MEMBERS, operation_id = "listTeamMembers", tag = "Identity",
    params(("id" = BillerId, Path), Pagination),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses(
        (status = 200, description = "A page of members.", body = MemberPage),
        (status = 400, description = "`invalid_parameter`: a query parameter is invalid; see `detail`."),
    ),
)]
pub(super) async fn members(
    key: ApiKeyFor<scope::IdentityRead>,
    State(identity): State<Identity>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<BillerId>,
) -> Result<Json<MemberPage>, HttpError> {
    let query = ListQuery::parse(identity.cursors, &key, &uri, &[])?;
    let billers = identity.directory.billers().await?;
    let team = team(&key, &billers, &id)?;
    let filter = UserFilter {
        email: None,
        statuses: vec![UserStatus::Created, UserStatus::Active, UserStatus::Suspended],
        billers: Some(vec![team.id.clone()]),
    };
    let records = identity.directory.list_users(&filter, &query.after, query.row_limit()).await?;
    let (records, links) = query.page(records, |record| record.id.as_str());
    let users = records.into_iter().map(|one| Member { id: one.id, email: one.email }).collect();
    let totals = match query.include_totals {
        true => Some(identity.directory.count_members(&team.id).await?),
        false => None,
    };
    let totals = totals.map(|all| query.totals(usize::try_from(all).unwrap_or_default()));
    Ok(Json(MemberPage { users, links, totals }))
}

/// Set team members
///
/// Replaces the members of the team by the listed users. The request is atomic and safe to repeat. Of two concurrent requests, one
/// decides the result.
#[utoipa::path(
    post, path = paths::SET_MEMBERS, operation_id = "setTeamMembers", tag = "Identity",
    params(("id" = BillerId, Path), IdempotencyKeyHeader),
    request_body(content = MembershipRequest, example = json!({ "user_ids": ["01a00000-0000-7000-8000-000000000000"] })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 200, description = "The number of users added and removed.", body = MembershipResult, content_type = "application/json"),
        (status = 409, description = "`user_deleted`: a deleted user cannot be a member.\n`username_taken`, `email_taken`: \
            another member has the username or mail address. Nothing was changed."),
    ),
)]
pub(super) async fn set(
    key: ApiKeyFor<scope::IdentityWrite>,
    State(identity): State<Identity>,
    Path(id): Path<BillerId>,
    header: IdempotencyKeyHeader,
    JsonBody(request): JsonBody<MembershipRequest>,
) -> Result<Response, HttpError> {
    identity.update_members(&key, &id, &header, &request, MembershipChange::Set).await
}

/// Add team members
///
/// Users who are already members stay members.
#[utoipa::path(
    post, path = paths::ADD_MEMBERS, operation_id = "addTeamMembers", tag = "Identity",
    params(("id" = BillerId, Path), IdempotencyKeyHeader),
    request_body(content = MembershipRequest, example = json!({ "user_ids": ["01a00000-0000-7000-8000-000000000000"] })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 200, description = "The number of users added and removed.", body = MembershipResult, content_type = "application/json"),
        (status = 409, description = "`user_deleted`: a deleted user cannot be a member.\n`username_taken`, `email_taken`: \
            another member has the username or mail address. Nothing was changed."),
    ),
)]
pub(super) async fn add(
    key: ApiKeyFor<scope::IdentityWrite>,
    State(identity): State<Identity>,
    Path(id): Path<BillerId>,
    header: IdempotencyKeyHeader,
    JsonBody(request): JsonBody<MembershipRequest>,
) -> Result<Response, HttpError> {
    identity.update_members(&key, &id, &header, &request, MembershipChange::Add).await
}

/// Remove team members
///
/// If a user does not exist, nothing is removed.
#[utoipa::path(
    post, path = paths::REMOVE_MEMBERS, operation_id = "removeTeamMembers", tag = "Identity",
    params(("id" = BillerId, Path), IdempotencyKeyHeader),
    request_body(content = MembershipRequest, example = json!({ "user_ids": ["01a00000-0000-7000-8000-000000000000"] })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 200, description = "The number of users added and removed.", body = MembershipResult, content_type = "application/json"),
    ),
)]
pub(super) async fn remove(
    key: ApiKeyFor<scope::IdentityWrite>,
    State(identity): State<Identity>,
    Path(id): Path<BillerId>,
    header: IdempotencyKeyHeader,
    JsonBody(request): JsonBody<MembershipRequest>,
) -> Result<Response, HttpError> {
    identity.update_members(&key, &id, &header, &request, MembershipChange::Remove).await
}

impl Identity {
    async fn update_members(
        &self,
        key: &ApiKeyFor<scope::IdentityWrite>,
        id: &BillerId,
        header: &IdempotencyKeyHeader,
        request: &MembershipRequest,
        change: MembershipChange,
    ) -> Result<Response, HttpError> {
        let billers = self.directory.billers().await?;
        let team = team(key, &billers, id)?;
        let idempotency_key = header.key(key, request)?;
        let mut tx = match self.idempotency.begin(idempotency_key.as_ref()).await? {
            Attempt::First(tx) => tx,
            Attempt::Repeated(body) => return Ok(json_response(body)),
        };
        let (scope, actor) = (biller_scope(key, &billers), key.actor_context());
        let done =
            self.directory.update_members_in(&mut tx, team, (change, &request.user_ids), scope.as_deref(), actor).await;
        let tally = done.map_err(|error| http_error(error, Some("user_ids")))?;
        let body = json!(MembershipResult { added: tally.added, removed: tally.removed }).to_string();
        if let Some(idempotency_key) = &idempotency_key {
            idempotency_key.store_response_in(&mut tx, StatusCode::OK.as_u16(), &body).await?;
        }
        tx.commit().await?;
        tracing::info!(biller = %team.slug, key = key.id, added = tally.added, removed = tally.removed, "updated members");
        Ok(json_response(body))
    }
}

fn json_response(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The team with this id, if the key has access to it.
pub(super) fn team<'b>(key: &ApiKey, billers: &'b Billers, id: &BillerId) -> Result<&'b Arc<Biller>, HttpError> {
    billers.by_id(id).filter(|biller| key.permits_biller(&biller.slug)).ok_or_else(not_found)
}

/// The teams that a body names in `teams`.
pub(super) fn team_ids(key: &ApiKey, billers: &Billers, ids: &[&BillerId]) -> Result<Vec<Arc<Biller>>, HttpError> {
    let one = |(index, id): (usize, &&BillerId)| {
        let found = team(key, billers, id).cloned();
        found.map_err(|error| with_field_error(format!("#/teams/{index}/id"), "no such team exists", error))
    };
    ids.iter().enumerate().map(one).collect()
}

/// The teams of a user that are visible, in the order of the list.
pub(super) fn visible_teams<'b>(
    is_visible: impl Fn(&Slug) -> bool,
    billers: &'b Billers,
    record: &UserRecord,
) -> Vec<&'b Arc<Biller>> {
    let is_deleted = record.status == UserStatus::Deleted;
    let belongs = |biller: &&Arc<Biller>| {
        !is_deleted && is_visible(&biller.slug) && record.billers.iter().any(|(id, _)| *id == biller.id)
    };
    billers.iter().filter(belongs).collect()
}

pub(super) fn team_response(biller: &Biller) -> Team {
    Team { id: biller.id.clone(), name: biller.name.clone() }
}

/// A page of teams, ordered by slug.
pub(super) fn page(query: &ListQuery, teams: Vec<&Arc<Biller>>) -> TeamPage {
    let totals = query.include_totals.then(|| query.totals(teams.len()));
    let rest = teams.into_iter().filter(|biller| biller.slug.as_str() > query.after.as_str()).collect();
    let (teams, links) = query.page(rest, |biller| biller.slug.as_str());
    TeamPage { teams: teams.iter().map(|biller| team_response(biller)).collect(), links, totals }
}
