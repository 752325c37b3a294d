//! `teams`: the billers, and who belongs to them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::pages::Query;
use super::{about, reach, refused, unknown};
use crate::access::{ApiKey, Scope};
use crate::api::auth::require;
use crate::api::problem::read_json;
use crate::api::repeats;
use crate::directory::{Biller, Billers, Change, Person, UserStatus, Wanted};
use crate::kernel::{BillerId, UserId};
use crate::state::AppState;
use crate::web::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    user_ids: Vec<UserId>,
}

/// `GET teams`
pub(super) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let key = require(&state, &headers, Scope::IdentityRead).await?;
    let query = Query::read(&state, &key, &uri, &["name", "name_prefix"])?;
    let billers = state.directory.billers().await?;
    let fits = |biller: &&Arc<Biller>| {
        key.reaches(&biller.slug)
            && query.filter("name").is_none_or(|name| biller.name == name)
            && query.filter("name_prefix").is_none_or(|prefix| biller.name.starts_with(prefix))
    };
    Ok(Json(page(&state, &query, billers.iter().filter(fits).collect())))
}

/// `GET teams/{id}/members`
pub(super) async fn members(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let key = require(&state, &headers, Scope::IdentityRead).await?;
    let query = Query::read(&state, &key, &uri, &[])?;
    let billers = state.directory.billers().await?;
    let team = team(&key, &billers, &id)?;
    let wanted = Wanted {
        email: None,
        statuses: vec![UserStatus::Created, UserStatus::Active, UserStatus::Suspended],
        billers: Some(vec![team.id.clone()]),
    };
    let people = state.directory.people(&wanted, &query.after, query.wanted()).await?;
    let (people, links) = query.page(&state, people, |person| person.id.as_str());
    let users: Vec<Value> = people.iter().map(|one| json!({ "id": one.id, "email": one.email })).collect();
    let mut body = json!({ "users": users, "links": links });
    if query.totals {
        let all = state.directory.count_members(&team.id).await?;
        body["totals"] = query.totals_of(usize::try_from(all).unwrap_or_default());
    }
    Ok(Json(body))
}

/// `POST teams/{id}/members/set`
pub(super) async fn set(
    state: State<AppState>,
    uri: OriginalUri,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    change(&state, &uri, &id, &headers, &body, Change::Set).await
}

/// `POST teams/{id}/members/add`
pub(super) async fn add(
    state: State<AppState>,
    uri: OriginalUri,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    change(&state, &uri, &id, &headers, &body, Change::Add).await
}

/// `POST teams/{id}/members/remove`
pub(super) async fn remove(
    state: State<AppState>,
    uri: OriginalUri,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    change(&state, &uri, &id, &headers, &body, Change::Remove).await
}

async fn change(
    state: &AppState,
    uri: &Uri,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
    change: Change,
) -> Result<Response, Refusal> {
    let key = require(state, headers, Scope::IdentityWrite).await?;
    let billers = state.directory.billers().await?;
    let team = team(&key, &billers, id)?;
    let Members { user_ids } = read_json(headers, body)?;
    let once = repeats::once(headers, &key, uri.path(), &json!(user_ids))?;
    let mut tx = state.db.begin().await?;
    if let Some(once) = &once
        && !once.claim(&mut tx, state.clock.now()).await?
    {
        drop(tx);
        return Ok(answer(repeats::earlier(state, once).await?.ok_or_else(repeats::in_progress)?));
    }
    let (reach, by) = (reach(&key, &billers), state.by(key.actor()));
    let done = state.directory.change_members_in(&mut tx, team, (change, &user_ids), reach.as_deref(), &by).await;
    let tally = done.map_err(|error| refused(error, Some("user_ids")))?;
    let body = json!({ "added": tally.added, "removed": tally.removed }).to_string();
    if let Some(once) = &once {
        once.answer_in(&mut tx, StatusCode::OK.as_u16(), &body).await?;
    }
    tx.commit().await?;
    tracing::info!(biller = %team.slug, key = key.id, added = tally.added, removed = tally.removed, "members were changed");
    Ok(answer(body))
}

fn answer(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The team with this id, if the key reaches it.
pub(super) fn team<'b>(key: &ApiKey, billers: &'b Billers, id: &str) -> Result<&'b Arc<Biller>, Refusal> {
    let found = billers.by_id(&BillerId::from_stored(id.to_owned()));
    found.filter(|biller| key.reaches(&biller.slug)).ok_or_else(unknown)
}

/// The teams of a body.
pub(super) fn team_ids(key: &ApiKey, billers: &Billers, ids: &[&str]) -> Result<Vec<Arc<Biller>>, Refusal> {
    let one = |(place, id): (usize, &&str)| {
        let found = team(key, billers, id).cloned();
        found.map_err(|refusal| about(format!("#/teams/{place}/id"), "there is no such team", refusal))
    };
    ids.iter().enumerate().map(one).collect()
}

/// The teams of a user that the key reaches, in the order of the list.
pub(super) fn reached<'b>(key: &ApiKey, billers: &'b Billers, person: &Person) -> Vec<&'b Arc<Biller>> {
    let is_deleted = person.status == UserStatus::Deleted;
    let belongs = |biller: &&Arc<Biller>| {
        !is_deleted && key.reaches(&biller.slug) && person.billers.iter().any(|(id, _)| *id == biller.id)
    };
    billers.iter().filter(belongs).collect()
}

/// A team, as machines see it.
pub(super) fn reference(biller: &Biller) -> Value {
    json!({ "id": biller.id, "name": biller.name })
}

/// A page of teams, by their permanent slugs.
pub(super) fn page(state: &AppState, query: &Query, teams: Vec<&Arc<Biller>>) -> Value {
    let all = teams.len();
    let rest = teams.into_iter().filter(|biller| biller.slug.as_str() > query.after.as_str()).collect();
    let (teams, links) = query.page(state, rest, |biller| biller.slug.as_str());
    let teams: Vec<Value> = teams.iter().map(|biller| reference(biller)).collect();
    let mut body = json!({ "teams": teams, "links": links });
    if query.totals {
        body["totals"] = query.totals_of(all);
    }
    body
}
