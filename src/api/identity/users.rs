//! `/users`: the users of the directory.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Identity;
use super::errors::{biller_scope, http_error};
use super::teams::{self, Team, TeamPage, team_ids, visible_teams};
use crate::access::{ApiKey, Scope, scope};
use crate::api::auth::ApiKeyFor;
use crate::api::idempotency::{Attempt, IdempotencyKeyHeader};
use crate::api::json::{JsonBody, list_of_objects};
use crate::api::pagination::{Cursors, Links, ListQuery, Pagination, Totals};
use crate::api::problem::{invalid_parameter, not_found, validation_failed};
use crate::directory::{Biller, Billers, NewUser, UserFilter, UserRecord, UserStatus, UserUpdate, is_mail_address};
use crate::web::HttpError;
use signpost_core::paths::identity as paths;
use signpost_core::{BillerId, Slug, UserId};

/// The most teams that the representation of a user embeds.
const MAX_EMBEDDED_TEAMS: usize = 20;
const MAX_TEAMS: usize = 50;
const MAX_NAME_BYTES: usize = 200;

/// A user to create.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUserRequest {
    #[schema(format = "email")]
    email: String,
    /// First and last name.
    #[serde(default, deserialize_with = "non_null")]
    #[schema(nullable = false, max_length = 200)]
    name: Option<String>,
    /// Default: the mail address.
    #[serde(default, deserialize_with = "non_null")]
    #[schema(nullable = false)]
    username: Option<String>,
    #[serde(default, deserialize_with = "list_of_objects")]
    #[schema(max_items = 50)]
    teams: Vec<TeamId>,
}

/// A reference to a team.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TeamId {
    id: BillerId,
}

/// Changes of a user. Omitted fields stay as they are.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserPatch {
    #[serde(default, deserialize_with = "non_null")]
    #[schema(nullable = false, format = "email")]
    email: Option<String>,
    /// First and last name; null clears it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "non_null")]
    #[schema(nullable = false)]
    status_action: Option<StatusAction>,
}

/// `suspend` blocks sign-ins of the user until `unsuspend`.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StatusAction {
    Suspend,
    Unsuspend,
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    id: UserId,
    username: String,
    email: String,
    /// First and last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// `created`, `active`, `suspended` or `deleted`.
    status: &'static str,
    teams: UserTeams,
    /// Custom attributes.
    #[schema(value_type = Object)]
    attributes: Value,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    deleted_at: Option<String>,
    /// Whether changes of the user have not reached SecureAuth yet.
    pending: bool,
}

/// The first teams of a user.
#[derive(Serialize, ToSchema)]
struct UserTeams {
    teams: Vec<Team>,
    links: Links,
}

/// A page of users.
#[derive(Serialize, ToSchema)]
pub(super) struct UserPage {
    users: Vec<User>,
    links: Links,
    /// Present with `include_totals`. Counts the users that the API key has access to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    totals: Option<Totals>,
}

/// A field that may be omitted, and that null clears.
#[expect(clippy::option_option, reason = "omitted, null and a value are three requests (RFC 7396)")]
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// A field that may be omitted, and must not be null.
fn non_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// List users
///
/// Returns the users of the billers that the API key has access to.
#[utoipa::path(
    get, path = paths::USERS, operation_id = "listUsers", tag = "Identity",
    params(
        Pagination,
        ("email" = Option<String>, Query, description = "Filters by mail address, ignoring case."),
        ("status" = Option<String>, Query, description = "Filters by status: a comma-separated list of `created`, `active`, \
            `suspended` and `deleted`."),
        ("team" = Option<BillerId>, Query, description = "Filters by team."),
    ),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses(
        (status = 200, description = "A page of users.", body = UserPage),
        (status = 400, description = "`invalid_parameter`: a query parameter is invalid; see `detail`."),
        (status = 404, description = "`not_found`: the team does not exist, or the API key has no access to it."),
    ),
)]
pub(super) async fn list(
    key: ApiKeyFor<scope::IdentityRead>,
    State(identity): State<Identity>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<UserPage>, HttpError> {
    let query = ListQuery::parse(identity.cursors.clone(), &key, &uri, &["email", "status", "team"])?;
    let billers = identity.directory.billers().await?;
    let statuses = query.filter("status").map(parse_statuses).transpose()?.unwrap_or_default();
    let filter = UserFilter {
        email: query.filter("email").map(str::to_owned),
        statuses,
        billers: match query.filter("team") {
            Some(team) if uuid::Uuid::try_parse(team).is_err() => {
                return Err(invalid_parameter("`team` must be the id of a team."));
            }
            Some(team) => Some(vec![teams::team(&key, &billers, &BillerId::from(team.to_owned()))?.id.clone()]),
            None => biller_scope(&key, &billers),
        },
    };
    let records = identity.directory.list_users(&filter, &query.after, query.row_limit()).await?;
    let (records, links) = query.page(records, |record| record.id.as_str());
    let users =
        records.iter().map(|record| user_response(&identity.cursors, &key, &billers, record, uri.path())).collect();
    let totals = match query.include_totals {
        true => Some(query.totals(identity.directory.count_users(&filter).await?)),
        false => None,
    };
    Ok(Json(UserPage { users, links, totals }))
}

fn parse_statuses(list: &str) -> Result<Vec<UserStatus>, HttpError> {
    let statuses: Option<Vec<_>> = list.split(',').map(UserStatus::parse).collect();
    let detail = "`status` must be a comma-separated list of up to 4 of created, active, suspended and deleted.";
    statuses.filter(|statuses| statuses.len() <= 4).ok_or_else(|| invalid_parameter(detail))
}

/// Create a user
#[utoipa::path(
    post, path = paths::USERS, operation_id = "createUser", tag = "Identity",
    params(IdempotencyKeyHeader),
    request_body(content = NewUserRequest, example = json!({ "email": "ann@mail.example", "name": "Ann van Dyk" })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 201, description = "The user.", body = User, headers(("Location" = String, description = "The path of the user."))),
        (status = 404, description = "`not_found`: a team does not exist, or the API key has no access to it."),
        (status = 409, description = "`username_taken`, `email_taken`: another member of one of the teams has the username or mail address. Nothing was changed."),
        (status = 422, description = "`validation_failed`: some fields are invalid; see `errors`."),
    ),
)]
pub(super) async fn create(
    key: ApiKeyFor<scope::IdentityWrite>,
    State(identity): State<Identity>,
    OriginalUri(uri): OriginalUri,
    header: IdempotencyKeyHeader,
    JsonBody(request): JsonBody<NewUserRequest>,
) -> Result<Response, HttpError> {
    let idempotency_key = header.key(&key, &request)?;
    let billers = identity.directory.billers().await?;
    let (new, teams) = new_user(&key, &billers, request)?;
    let mut tx = match identity.idempotency.begin(idempotency_key.as_ref()).await? {
        Attempt::First(tx) => tx,
        Attempt::Repeated(body) => return Ok(created_response(uri.path(), body)),
    };
    let (actor, now) = (key.actor_context(), key.actor_context().now());
    let of: Vec<&Biller> = teams.iter().map(AsRef::as_ref).collect();
    let id =
        identity.directory.create_user_in(&mut tx, &new, &of, actor).await.map_err(|error| http_error(error, None))?;
    let with_pending =
        |biller: &Arc<Biller>| (biller.id.clone(), biller.state != signpost_core::decision::CiamState::Legacy);
    let record = UserRecord {
        id,
        username: new.username,
        email: new.email,
        first_name: new.first_name,
        last_name: new.last_name,
        status: new.status,
        attributes: new.attributes,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        billers: teams.iter().map(with_pending).collect(),
        left: Vec::new(),
    };
    let body = json!(user_response(&identity.cursors, &key, &billers, &record, uri.path())).to_string();
    if let Some(idempotency_key) = &idempotency_key {
        idempotency_key.store_response_in(&mut tx, StatusCode::CREATED.as_u16(), &body).await?;
    }
    tx.commit().await?;
    tracing::info!(user = %record.id, key = key.id, "created a user");
    Ok(created_response(uri.path(), body))
}

/// Get a user
#[utoipa::path(
    get, path = paths::USER, operation_id = "getUser", tag = "Identity",
    params(("id" = UserId, Path)),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses((status = 200, description = "The user.", body = User)),
)]
pub(super) async fn get(
    key: ApiKeyFor<scope::IdentityRead>,
    State(identity): State<Identity>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<UserId>,
) -> Result<Json<User>, HttpError> {
    let (billers, record) = identity.find(&key, &id).await?;
    Ok(Json(user_response(&identity.cursors, &key, &billers, &record, parent(uri.path()))))
}

/// Update a user
///
/// Omitted fields stay as they are.
#[utoipa::path(
    patch, path = paths::USER, operation_id = "updateUser", tag = "Identity",
    params(("id" = UserId, Path)),
    request_body(content = UserPatch, example = json!({ "name": "Ann van Dyk-Meyer" })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 200, description = "The updated user.", body = User),
        (status = 403, description = "`biller_not_in_scope`: the user also belongs to billers that the API key has no access to."),
        (status = 409, description = "`email_taken`: another member of one of the teams has the mail address.\n`user_deleted`: the user is deleted."),
        (status = 422, description = "`validation_failed`: some fields are invalid; see `errors`."),
    ),
)]
pub(super) async fn update(
    key: ApiKeyFor<scope::IdentityWrite>,
    State(identity): State<Identity>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<UserId>,
    JsonBody(request): JsonBody<UserPatch>,
) -> Result<Json<User>, HttpError> {
    let mut errors = Vec::new();
    validate(request.email.as_deref(), request.name.as_ref().and_then(Option::as_deref), &mut errors);
    if !errors.is_empty() {
        return Err(validation_failed(errors));
    }
    let (first_name, last_name) = request.name.map(|name| split_name(&name.unwrap_or_default())).unzip();
    let status = request.status_action.map(|action| match action {
        StatusAction::Suspend => UserStatus::Suspended,
        StatusAction::Unsuspend => UserStatus::Active,
    });
    let change = UserUpdate { username: None, email: request.email, first_name, last_name, status };
    identity.update_user(&key, &id, &change).await?;
    let (billers, record) = identity.find(&key, &id).await?;
    Ok(Json(user_response(&identity.cursors, &key, &billers, &record, parent(uri.path()))))
}

/// Delete a user
///
/// The user loses all memberships and cannot sign in. The record stays, with `deleted_at`.
#[utoipa::path(
    delete, path = paths::USER, operation_id = "deleteUser", tag = "Identity",
    params(("id" = UserId, Path)),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 204, description = "The user is deleted."),
        (status = 403, description = "`biller_not_in_scope`: the user also belongs to billers that the API key has no access to."),
    ),
)]
pub(super) async fn delete(
    key: ApiKeyFor<scope::IdentityWrite>,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> Result<StatusCode, HttpError> {
    identity.update_user(&key, &id, &UserUpdate { status: Some(UserStatus::Deleted), ..UserUpdate::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a user's teams
#[utoipa::path(
    get, path = paths::USER_TEAMS, operation_id = "listUserTeams", tag = "Identity",
    params(("id" = UserId, Path), Pagination),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses(
        (status = 200, description = "A page of teams.", body = TeamPage),
        (status = 400, description = "`invalid_parameter`: a query parameter is invalid; see `detail`."),
    ),
)]
pub(super) async fn teams(
    key: ApiKeyFor<scope::IdentityRead>,
    State(identity): State<Identity>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<UserId>,
) -> Result<Json<TeamPage>, HttpError> {
    let query = ListQuery::parse(identity.cursors.clone(), &key, &uri, &[])?;
    let (billers, record) = identity.find(&key, &id).await?;
    Ok(Json(teams::page(&query, visible_teams(|slug| key.permits_biller(slug), &billers, &record))))
}

impl Identity {
    async fn update_user(
        &self,
        key: &ApiKeyFor<scope::IdentityWrite>,
        id: &UserId,
        change: &UserUpdate,
    ) -> Result<(), HttpError> {
        let billers = self.directory.billers().await?;
        let scope = biller_scope(key, &billers);
        let mut tx = self.db.begin().await?;
        let done = self.directory.update_user_in(&mut tx, id, change, scope.as_deref(), key.actor_context()).await;
        done.map_err(|error| http_error(error, None))?;
        tx.commit().await?;
        tracing::info!(user = %id, key = key.id, "updated a user");
        Ok(())
    }

    async fn find(&self, key: &ApiKey, id: &UserId) -> Result<(Arc<Billers>, UserRecord), HttpError> {
        let billers = self.directory.billers().await?;
        let scope = biller_scope(key, &billers);
        let record = self.directory.user_record(id, scope.as_deref()).await?.ok_or_else(not_found)?;
        Ok((billers, record))
    }
}

fn new_user(
    key: &ApiKey,
    billers: &Billers,
    request: NewUserRequest,
) -> Result<(NewUser, Vec<Arc<Biller>>), HttpError> {
    let mut errors = Vec::new();
    validate(Some(&request.email), request.name.as_deref(), &mut errors);
    if request.teams.len() > MAX_TEAMS {
        errors.push(("teams", format!("must name at most {MAX_TEAMS} teams")));
    }
    if request.teams.is_empty() && key.billers.is_some() {
        errors
            .push(("teams", "must name at least one team, because the API key is limited to some billers".to_owned()));
    }
    if !errors.is_empty() {
        return Err(validation_failed(errors));
    }
    let mut ids: Vec<&BillerId> = request.teams.iter().map(|team| &team.id).collect();
    let teams = team_ids(key, billers, &ids)?;
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < teams.len() {
        return Err(validation_failed([("teams", "must not name a team twice".to_owned())]));
    }
    let (first_name, last_name) = split_name(request.name.as_deref().unwrap_or_default());
    let new = NewUser {
        username: request.username.unwrap_or_else(|| request.email.clone()).trim().to_owned(),
        email: request.email,
        first_name,
        last_name,
        status: UserStatus::Active,
        attributes: json!({}),
    };
    Ok((new, teams))
}

fn validate(email: Option<&str>, name: Option<&str>, errors: &mut Vec<(&'static str, String)>) {
    if email.is_some_and(|email| !is_mail_address(email)) {
        errors.push(("email", "must be a mail address".to_owned()));
    }
    if name.is_some_and(|name| name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control)) {
        errors.push(("name", format!("must be at most {MAX_NAME_BYTES} bytes without control characters")));
    }
}

/// Splits a name at its first space.
fn split_name(name: &str) -> (String, String) {
    let name = name.trim();
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    (first.to_owned(), last.trim_start().to_owned())
}

/// `…/users` of `…/users/{id}`
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(parent, _)| parent)
}

/// `users_path` is the path of all users, at the mount that the client uses.
fn user_response(cursors: &Cursors, key: &ApiKey, billers: &Billers, record: &UserRecord, users_path: &str) -> User {
    let path = format!("{users_path}/{}/teams", record.id);
    let next = |last: &Biller| cursors.next_page_url(key, &path, last.slug.as_str());
    User::new(record, billers, |slug| key.permits_biller(slug), Some(&next))
}

/// The URL of the teams after this one.
type NextTeams<'n> = &'n dyn Fn(&Biller) -> String;

impl User {
    /// Without `next` it embeds all teams.
    pub(crate) fn new(
        record: &UserRecord,
        billers: &Billers,
        is_visible: impl Fn(&Slug) -> bool,
        next: Option<NextTeams<'_>>,
    ) -> Self {
        let mut teams = visible_teams(&is_visible, billers, record);
        let own = |id: &BillerId| billers.by_id(id).is_some_and(|biller| is_visible(&biller.slug));
        let next = next.filter(|_| teams.len() > MAX_EMBEDDED_TEAMS);
        if next.is_some() {
            teams.truncate(MAX_EMBEDDED_TEAMS);
        }
        let next = next.and_then(|url| Some(url(teams.last()?)));
        let name = format!("{} {}", record.first_name, record.last_name).trim().to_owned();
        Self {
            id: record.id.clone(),
            username: record.username.clone(),
            email: record.email.clone(),
            name: Some(name).filter(|name| !name.is_empty()),
            status: record.status.as_str(),
            teams: UserTeams {
                teams: teams.iter().map(|biller| teams::team_response(biller)).collect(),
                links: Links { next },
            },
            attributes: record.attributes.clone(),
            created_at: record.created_at.to_string(),
            updated_at: record.updated_at.to_string(),
            deleted_at: record.deleted_at.map(|at| at.to_string()),
            pending: record.billers.iter().any(|(id, is_pending)| *is_pending && own(id))
                || record.left.iter().any(own),
        }
    }
}

fn created_response(users_path: &str, body: String) -> Response {
    let id = serde_json::from_str::<Value>(&body).unwrap_or_default()["id"].as_str().unwrap_or_default().to_owned();
    let location = format!("{users_path}/{id}");
    let heads = [(header::CONTENT_TYPE, "application/json"), (header::LOCATION, location.as_str())];
    (StatusCode::CREATED, heads, body).into_response()
}
