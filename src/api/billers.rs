//! `/api/v1/billers`: what the biller wizard does. The fields are those of a file of billers.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::auth::require;
use super::biller_answers::{BillerAnswer, BillerList, BillerMade, BillerShown};
use super::biller_requests::{BillerChange, NewBiller, order, read_row};
use super::jobs::{JobAnswer, unknown};
use super::json::read_fields;
use super::problem::{problem, wrong_fields};
use super::repeats::IdempotencyKey;
use super::{changes, ciam, repeats};
use crate::access::{ApiKey, Scope};
use crate::directory::import_billers::{Expect, OneError, Tools};
use crate::enablement::{Job, Order};
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::Slug;

/// List the billers
///
/// All that the key reaches, by slug.
#[utoipa::path(
    get, path = paths::BILLERS, operation_id = "listBillers", tag = "Billers",
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The billers.", body = BillerList)),
)]
pub(super) async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<BillerList>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let (billers, modes) = (state.directory.billers().await?, state.enablement.modes().await?);
    let shown = billers.iter().filter(|biller| key.reaches(&biller.slug));
    let shown = shown.map(|biller| BillerAnswer::new(&state, biller, modes.get(biller.id.as_str()).copied()));
    Ok(Json(BillerList { billers: shown.collect() }))
}

/// Read a biller
#[utoipa::path(
    get, path = paths::ONE_BILLER, operation_id = "readBiller", tag = "Billers",
    params(("slug" = Slug, Path)),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The biller.", body = BillerShown)),
)]
pub(super) async fn one(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<BillerShown>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.reaches(slug)).ok_or_else(unknown)?;
    Ok(Json(shown(&state, &slug).await?))
}

/// Make a biller
///
/// What the biller wizard does: with `ciam` it begins at once to enable the biller. Watch the `job` of the answer.
#[utoipa::path(
    post, path = paths::BILLERS, operation_id = "makeBiller", tag = "Billers",
    params(IdempotencyKey),
    request_body(
        content = NewBiller,
        example = json!({ "slug": "lakeside-power", "name": "Lakeside Power", "ciam": { "mode": "mfa" } }),
    ),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 201, description = "It was made.", body = BillerMade, headers(("Location" = String, description = "Where it is."))),
        (status = 403, description = "`key_limited`: the key is limited to some billers, and this is not one of them."),
        (status = 409, description = "`slug_taken`: there is a biller with this slug.\n`not_configured`, `not_ready`, `wrong_state`: it was made, and cannot be enabled now."),
        (status = 422, description = "`wrong_fields`: see `errors`.\n`unfit_users`: SecureAuth could not keep some of the users."),
        (status = 502, description = "`secureauth`: SecureAuth does not answer."),
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let mut fields: Map<String, Value> = read_fields(&headers, &body)?;
    let once = repeats::once(&headers, &key, paths::BILLERS, &Value::Object(fields.clone()))?;
    let wish = fields.remove("ciam");
    let row = read_row(fields)?;
    let order = order(wish, &row)?;
    if !key.reaches(&row.slug) {
        let detail = "The API key is limited to some billers, and this is not one of them.";
        return Err(problem(StatusCode::FORBIDDEN, "key_limited", detail));
    }
    if order.is_some() && !state.enablement.is_configured() {
        return Err(ciam::refused(crate::enablement::EnableError::NotConfigured));
    }
    let slug = row.slug.clone();
    let mut tx = state.db.begin().await?;
    let is_first = match &once {
        Some(once) => once.claim(&mut tx, state.clock.now()).await?,
        None => true,
    };
    if is_first {
        let made = state.directory.put_biller_in(&mut tx, row, &tools(&state, &key), Expect::New).await;
        let made = made.map_err(refused)?;
        tx.commit().await?;
        tracing::info!(biller = %made.slug, key = key.id, "a biller was made");
    } else {
        drop(tx);
        if let Some(once) = &once
            && let Some(body) = repeats::earlier(&state, once).await?
        {
            return Ok(created(&slug, body));
        }
    }
    let job = match order {
        Some(order) => Some(enable(&state, &key, &slug, order).await?),
        None => None,
    };
    let job = job.map(|job| JobAnswer::new(&job, Some(slug.clone())));
    let body = json!(BillerMade { shown: shown(&state, &slug).await?, job }).to_string();
    let Some(once) = once else { return Ok(created(&slug, body)) };
    once.answer(&state.db, StatusCode::CREATED.as_u16(), &body).await?;
    // Two may have come so far with the same request: both give the answer that is kept.
    Ok(created(&slug, repeats::earlier(&state, &once).await?.unwrap_or(body)))
}

/// The job of a biller that was made a moment ago: of all repetitions of a request one starts it.
async fn enable(state: &AppState, key: &ApiKey, slug: &Slug, order: Order) -> Result<Job, Refusal> {
    let biller = state.directory.named(slug).await?.ok_or_else(unknown)?;
    match state.enablement.latest_of(&biller.id).await? {
        Some(job) => Ok(job),
        None => state.enablement.start(slug, order, &state.by(key.actor())).await.map_err(ciam::refused),
    }
}

/// Change a biller
///
/// What is left out stays as it is; an empty list, table or text takes it away. Changes of where people sign in wait for a
/// second person: they are in `pending`.
#[utoipa::path(
    patch, path = paths::ONE_BILLER, operation_id = "changeBiller", tag = "Billers",
    params(("slug" = Slug, Path)),
    request_body(content = BillerChange, example = json!({ "name": "Lakeside Power and Light" })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 200, description = "As it is now.", body = BillerShown),
        (status = 422, description = "`wrong_fields`: see `errors`."),
    ),
)]
pub(super) async fn change(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<BillerShown>, Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.reaches(slug)).ok_or_else(unknown)?;
    let mut fields: Map<String, Value> = read_fields(&headers, &body)?;
    let own = fields.insert("slug".to_owned(), json!(slug));
    if own.is_some_and(|own| own != json!(slug)) {
        return Err(wrong_fields([("slug", "the slug is permanent".to_owned())]));
    }
    let elsewhere = "PUT /api/v1/billers/{slug}/ciam switches a biller on and off".to_owned();
    if let Some(field) = ["state", "ciam"].into_iter().find(|field| fields.contains_key(*field)) {
        return Err(wrong_fields([(field, elsewhere)]));
    }
    let row = read_row(fields)?;
    let mut tx = state.db.begin().await?;
    let changed = state.directory.put_biller_in(&mut tx, row, &tools(&state, &key), Expect::Known).await;
    changed.map_err(refused)?;
    tx.commit().await?;
    tracing::info!(biller = %slug, key = key.id, "a biller was changed");
    let mut pending = changes::waiting(&state, &key).await?;
    pending.retain(|change| change.biller == slug);
    Ok(Json(BillerShown { pending: Some(pending), ..shown(&state, &slug).await? }))
}

async fn shown(state: &AppState, slug: &Slug) -> Result<BillerShown, Refusal> {
    let biller = state.directory.named(slug).await?.ok_or_else(unknown)?;
    let mode = state.enablement.modes().await?.get(biller.id.as_str()).copied();
    Ok(BillerShown {
        biller: BillerAnswer::new(state, &biller, mode),
        users_pending: state.directory.backlog_of(&biller.id).await?,
        pending: None,
    })
}

fn created(slug: &Slug, body: String) -> Response {
    let mut response = (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let Ok(place) = HeaderValue::try_from(format!("{}/{slug}", paths::BILLERS)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn tools(state: &AppState, key: &ApiKey) -> Tools {
    Tools {
        keys: state.keys.clone(),
        by: state.by(key.actor()),
        allow_loopback_issuers: state.config.oidc.allow_loopback_issuers,
        public_host: crate::routing::public_host(&state.config),
    }
}

fn refused(error: OneError) -> Refusal {
    match error {
        OneError::Taken => problem(StatusCode::CONFLICT, "slug_taken", "There is a biller with this slug already."),
        OneError::Unknown => unknown(),
        OneError::Refused(problems) => {
            wrong_fields(problems.iter().map(|problem| (problem.field, problem.text.clone())))
        }
        OneError::Directory(error) => error.into(),
    }
}
