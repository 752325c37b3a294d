//! `users`: the people of the directory.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::pages::{self, Links, Paging, Query, Totals};
use super::teams::{self, Team, TeamPage, reached, team_ids};
use super::{reach, refused, unknown};
use crate::access::{ApiKey, Scope};
use crate::api::auth::require;
use crate::api::json::{objects, read_json};
use crate::api::problem::{problem, wrong_fields};
use crate::api::repeats::{self, IdempotencyKey};
use crate::directory::{Biller, Billers, NewUser, Person, UserChange, UserStatus, Wanted, is_mail_address};
use crate::state::AppState;
use crate::web::Refusal;
use signpost_core::{BillerId, UserId};

/// Teams that are shown with a user.
const TEAMS_SHOWN: usize = 20;
const MOST_TEAMS: usize = 50;
const LONGEST_NAME: usize = 200;

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUserRequest {
    #[schema(format = "email")]
    email: String,
    /// First and last name.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 200)]
    name: Option<String>,
    /// The mail address unless told.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    username: Option<String>,
    #[serde(default, deserialize_with = "objects")]
    #[schema(max_items = 50)]
    teams: Vec<TeamId>,
}

/// A team that a user is to belong to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TeamId {
    #[schema(value_type = BillerId)]
    id: String,
}

/// What is to be changed of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserPatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, format = "email")]
    email: Option<String>,
    /// First and last name.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    status_action: Option<StatusAction>,
}

/// `suspend` takes a user's access away for a time; `unsuspend` gives it back.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StatusAction {
    Suspend,
    Unsuspend,
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    id: UserId,
    username: String,
    email: String,
    /// First and last name, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// `created`, `active`, `suspended` or `deleted`.
    status: &'static str,
    teams: UserTeams,
    /// More about the user.
    #[schema(value_type = Object)]
    attributes: Value,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    deleted_at: Option<String>,
    /// Something about the user has not reached SecureAuth yet.
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
    /// With `include_totals`: of those that the key reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    totals: Option<Totals>,
}

/// A field that may be left out, and is no null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// List the users
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers", tag = "Identity",
    params(
        Paging,
        ("email" = Option<String>, Query, description = "Those with this mail address, in any case of letters."),
        ("status" = Option<String>, Query, description = "Those with one of these: `created`, `active`, `suspended`, \
            `deleted`; with commas between."),
        ("team" = Option<BillerId>, Query, description = "Those of this team."),
    ),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses(
        (status = 200, description = "A page of users.", body = UserPage),
        (status = 400, description = "`wrong_parameter`: see `detail`."),
        (status = 404, description = "`not_found`: there is no such team."),
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Json<UserPage>, Refusal> {
    let key = require(&state, &headers, Scope::IdentityRead).await?;
    let query = Query::read(&state, &key, &uri, &["email", "status", "team"])?;
    let billers = state.directory.billers().await?;
    let wrong = |detail| problem(StatusCode::BAD_REQUEST, "wrong_parameter", detail);
    let mut statuses = Vec::new();
    for status in query.filter("status").into_iter().flat_map(|list| list.split(',')) {
        let status = UserStatus::parse(status);
        statuses.push(status.ok_or_else(|| wrong("status is a list of created, active, suspended and deleted."))?);
    }
    if statuses.len() > 4 {
        return Err(wrong("status names at most 4."));
    }
    let wanted = Wanted {
        email: query.filter("email").map(str::to_owned),
        statuses,
        billers: match query.filter("team") {
            Some(team) if uuid::Uuid::try_parse(team).is_err() => return Err(wrong("team is the id of a team.")),
            Some(team) => Some(vec![teams::team(&key, &billers, team)?.id.clone()]),
            None => reach(&key, &billers),
        },
    };
    let people = state.directory.people(&wanted, &query.after, query.wanted()).await?;
    let (people, links) = query.page(&state, people, |person| person.id.as_str());
    let users = people.iter().map(|person| shown(&state, &key, &billers, person, uri.path())).collect();
    let totals = match query.totals {
        true => Some(query.totals_of(state.directory.count_people(&wanted).await?)),
        false => None,
    };
    Ok(Json(UserPage { users, links, totals }))
}

/// Make a user
#[utoipa::path(
    post, path = "/users", operation_id = "makeUser", tag = "Identity",
    params(IdempotencyKey),
    request_body(content = NewUserRequest, example = json!({ "email": "ann@mail.example", "name": "Ann van Dyk" })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 201, description = "The user.", body = User, headers(("Location" = String, description = "Where it is."))),
        (status = 404, description = "`not_found`: there is no such team."),
        (status = 409, description = "`username_taken`, `email_taken`: by somebody else at one of the teams. Nothing was changed."),
        (status = 422, description = "`wrong_fields`: see `errors`."),
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let key = require(&state, &headers, Scope::IdentityWrite).await?;
    let request: NewUserRequest = read_json(&headers, &body)?;
    let once = repeats::once(&headers, &key, uri.path(), &read_json(&headers, &body)?)?;
    let billers = state.directory.billers().await?;
    let (new, teams) = new_user(&key, &billers, request)?;
    let mut tx = state.db.begin().await?;
    if let Some(once) = &once
        && !once.claim(&mut tx, state.clock.now()).await?
    {
        drop(tx);
        let body = repeats::earlier(&state, once).await?.ok_or_else(repeats::in_progress)?;
        return Ok(created(uri.path(), body));
    }
    let (by, now) = (state.by(key.actor()), state.clock.now());
    let of: Vec<&Biller> = teams.iter().map(AsRef::as_ref).collect();
    let id = state.directory.create_person_in(&mut tx, &new, &of, &by).await.map_err(|error| refused(error, None))?;
    let marked = |biller: &Arc<Biller>| (biller.id.clone(), biller.state != signpost_core::decision::CiamState::Legacy);
    let person = Person {
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
        billers: teams.iter().map(marked).collect(),
        left: Vec::new(),
    };
    let body = json!(shown(&state, &key, &billers, &person, uri.path())).to_string();
    if let Some(once) = &once {
        once.answer_in(&mut tx, StatusCode::CREATED.as_u16(), &body).await?;
    }
    tx.commit().await?;
    tracing::info!(user = %person.id, key = key.id, "a user was made");
    Ok(created(uri.path(), body))
}

/// Read a user
#[utoipa::path(
    get, path = "/users/{id}", operation_id = "readUser", tag = "Identity",
    params(("id" = UserId, Path)),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses((status = 200, description = "The user.", body = User)),
)]
pub(super) async fn one(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<User>, Refusal> {
    let key = require(&state, &headers, Scope::IdentityRead).await?;
    let (billers, person) = find(&state, &key, id).await?;
    Ok(Json(shown(&state, &key, &billers, &person, parent(uri.path()))))
}

/// Change a user
///
/// What is left out stays as it is.
#[utoipa::path(
    patch, path = "/users/{id}", operation_id = "changeUser", tag = "Identity",
    params(("id" = UserId, Path)),
    request_body(content = UserPatch, example = json!({ "name": "Ann van Dyk-Meyer" })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 200, description = "As it is now.", body = User),
        (status = 403, description = "`biller_out_of_reach`: the user belongs to billers that this key does not reach."),
        (status = 409, description = "`email_taken`: by somebody else at one of the teams.\n`user_deleted`: it stays as it is."),
        (status = 422, description = "`wrong_fields`: see `errors`."),
    ),
)]
pub(super) async fn change(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<User>, Refusal> {
    let key = require(&state, &headers, Scope::IdentityWrite).await?;
    let request: UserPatch = read_json(&headers, &body)?;
    let mut wrong = Vec::new();
    check(request.email.as_deref(), request.name.as_deref(), &mut wrong);
    if !wrong.is_empty() {
        return Err(wrong_fields(wrong));
    }
    let (first_name, last_name) = request.name.as_deref().map(split).unzip();
    let status = request.status_action.map(|action| match action {
        StatusAction::Suspend => UserStatus::Suspended,
        StatusAction::Unsuspend => UserStatus::Active,
    });
    let change = UserChange { username: None, email: request.email, first_name, last_name, status };
    apply(&state, &key, &id, &change).await?;
    let (billers, person) = find(&state, &key, id).await?;
    Ok(Json(shown(&state, &key, &billers, &person, parent(uri.path()))))
}

/// Delete a user
///
/// The record is kept, with `deleted_at`.
#[utoipa::path(
    delete, path = "/users/{id}", operation_id = "deleteUser", tag = "Identity",
    params(("id" = UserId, Path)),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 204, description = "It is deleted."),
        (status = 403, description = "`biller_out_of_reach`: the user belongs to billers that this key does not reach."),
    ),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let key = require(&state, &headers, Scope::IdentityWrite).await?;
    apply(&state, &key, &id, &UserChange { status: Some(UserStatus::Deleted), ..UserChange::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the teams of a user
#[utoipa::path(
    get, path = "/users/{id}/teams", operation_id = "listTeamsOfUser", tag = "Identity",
    params(("id" = UserId, Path), Paging),
    security(("key" = [Scope::IdentityRead.as_str()])),
    responses(
        (status = 200, description = "A page of teams.", body = TeamPage),
        (status = 400, description = "`wrong_parameter`: see `detail`."),
    ),
)]
pub(super) async fn teams(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<TeamPage>, Refusal> {
    let key = require(&state, &headers, Scope::IdentityRead).await?;
    let query = Query::read(&state, &key, &uri, &[])?;
    let (billers, person) = find(&state, &key, id).await?;
    Ok(Json(teams::page(&state, &query, reached(&key, &billers, &person))))
}

async fn apply(state: &AppState, key: &ApiKey, id: &str, change: &UserChange) -> Result<(), Refusal> {
    let billers = state.directory.billers().await?;
    let reach = reach(key, &billers);
    let mut tx = state.db.begin().await?;
    let by = state.by(key.actor());
    let user = UserId::from(id.to_owned());
    let done = state.directory.change_person_in(&mut tx, &user, change, reach.as_deref(), &by).await;
    done.map_err(|error| refused(error, None))?;
    tx.commit().await?;
    tracing::info!(user = %user, key = key.id, "a user was changed");
    Ok(())
}

async fn find(state: &AppState, key: &ApiKey, id: String) -> Result<(Arc<Billers>, Person), Refusal> {
    let billers = state.directory.billers().await?;
    let person = state.directory.person(&UserId::from(id)).await?.ok_or_else(unknown)?;
    let reach = reach(key, &billers);
    let is_seen = reach.is_none_or(|own| person.billers.iter().any(|(biller, _)| own.contains(biller)));
    if is_seen { Ok((billers, person)) } else { Err(unknown()) }
}

fn new_user(key: &ApiKey, billers: &Billers, request: NewUserRequest) -> Result<(NewUser, Vec<Arc<Biller>>), Refusal> {
    let mut wrong = Vec::new();
    check(Some(&request.email), request.name.as_deref(), &mut wrong);
    if request.teams.len() > MOST_TEAMS {
        wrong.push(("teams", format!("at most {MOST_TEAMS}")));
    }
    if request.teams.is_empty() && key.billers.is_some() {
        wrong.push(("teams", "the key is limited to some billers: name at least one of them".to_owned()));
    }
    if !wrong.is_empty() {
        return Err(wrong_fields(wrong));
    }
    let mut ids: Vec<&str> = request.teams.iter().map(|team| team.id.as_str()).collect();
    let teams = team_ids(key, billers, &ids)?;
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < teams.len() {
        return Err(wrong_fields([("teams", "a team stands there twice".to_owned())]));
    }
    let (first_name, last_name) = split(request.name.as_deref().unwrap_or_default());
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

fn check(email: Option<&str>, name: Option<&str>, wrong: &mut Vec<(&'static str, String)>) {
    if email.is_some_and(|email| !is_mail_address(email)) {
        wrong.push(("email", "not a mail address".to_owned()));
    }
    if name.is_some_and(|name| name.len() > LONGEST_NAME || name.chars().any(char::is_control)) {
        wrong.push(("name", format!("at most {LONGEST_NAME} bytes, no control characters")));
    }
}

/// First and last name of a name.
fn split(name: &str) -> (String, String) {
    let name = name.trim();
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    (first.to_owned(), last.trim_start().to_owned())
}

/// `…/users` of `…/users/{id}`
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(parent, _)| parent)
}

/// A user, as machines see it; `place` is the path of all users.
fn shown(state: &AppState, key: &ApiKey, billers: &Billers, person: &Person, place: &str) -> User {
    let mut teams = reached(key, billers, person);
    let own = |id: &BillerId| billers.by_id(id).is_some_and(|biller| key.reaches(&biller.slug));
    let is_whole = teams.len() <= TEAMS_SHOWN;
    teams.truncate(TEAMS_SHOWN);
    let last = teams.last().filter(|_| !is_whole);
    let next = last.map(|last| pages::rest(state, key, &format!("{place}/{}/teams", person.id), last.slug.as_str()));
    let name = format!("{} {}", person.first_name, person.last_name).trim().to_owned();
    User {
        id: person.id.clone(),
        username: person.username.clone(),
        email: person.email.clone(),
        name: Some(name).filter(|name| !name.is_empty()),
        status: person.status.as_str(),
        teams: UserTeams {
            teams: teams.iter().map(|biller| teams::reference(biller)).collect(),
            links: Links { next },
        },
        attributes: person.attributes.clone(),
        created_at: person.created_at.to_string(),
        updated_at: person.updated_at.to_string(),
        deleted_at: person.deleted_at.map(|at| at.to_string()),
        pending: person.billers.iter().any(|(id, is_pending)| *is_pending && own(id)) || person.left.iter().any(own),
    }
}

fn created(place: &str, body: String) -> Response {
    let id = serde_json::from_str::<Value>(&body).unwrap_or_default()["id"].as_str().unwrap_or_default().to_owned();
    let place = format!("{place}/{id}");
    let heads = [(header::CONTENT_TYPE, "application/json"), (header::LOCATION, place.as_str())];
    (StatusCode::CREATED, heads, body).into_response()
}
