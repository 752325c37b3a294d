//! `/api/v1/billers`: what a CRM's biller wizard does. The fields are those of a file of billers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::access::find_biller;
use super::auth::ApiKeyFor;
use super::biller_requests::{BillerUpdate, NewBiller, parse_biller_row, parse_ciam};
use super::biller_responses::{BillerDetails, BillerList, BillerResponse, CreatedBiller};
use super::idempotency::IdempotencyKeyHeader;
use super::jobs::JobResponse;
use super::json::{Fields, JsonBody};
use super::problem::{invalid_fields, not_found, problem, validation_failed};
use super::{ciam, idempotency, pending_changes};
use crate::access::{Scope, scope};
use crate::config::Config;
use crate::db::Db;
use crate::directory::import_billers::{ImportContext, UpsertError, WriteMode};
use crate::directory::{Biller, Directory};
use crate::provisioning::{EnablementOptions, Job, Provisioning};
use crate::state::AppState;
use crate::web::extract::BillerPath;
use crate::web::{HttpError, paths};
use signpost_core::{Clock, KeyRing, Slug};

/// What the handlers of billers use.
#[derive(Clone)]
pub(super) struct BillerServices {
    config: Arc<Config>,
    keys: KeyRing,
    clock: Clock,
    db: Db,
    directory: Directory,
    provisioning: Provisioning,
}

impl FromRef<AppState> for BillerServices {
    fn from_ref(state: &AppState) -> Self {
        Self {
            config: Arc::clone(&state.config),
            keys: state.keys.clone(),
            clock: state.clock.clone(),
            db: state.db.clone(),
            directory: state.directory.clone(),
            provisioning: state.provisioning.clone(),
        }
    }
}

impl BillerServices {
    fn import_context(&self, key: &ApiKeyFor<scope::BillersWrite>) -> ImportContext {
        ImportContext {
            keys: self.keys.clone(),
            actor: key.actor_context().clone(),
            addresses: self.config.oidc.address_policy(),
            own_hosts: crate::routing::own_hosts(&self.config),
        }
    }
}

/// List billers
///
/// Returns the billers that the API key has access to, ordered by slug.
#[utoipa::path(
    get, path = paths::BILLERS, operation_id = "listBillers", tag = "Billers",
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The billers.", body = BillerList)),
)]
pub(super) async fn list(
    key: ApiKeyFor<scope::BillersRead>,
    State(services): State<BillerServices>,
) -> Result<Json<BillerList>, HttpError> {
    let billers = services.directory.billers().await?;
    let visible = billers.iter().filter(|biller| key.permits_biller(&biller.slug));
    let visible = visible.map(|biller| BillerResponse::new(&services.config, services.clock.now(), biller));
    Ok(Json(BillerList { billers: visible.collect() }))
}

/// Get a biller
#[utoipa::path(
    get, path = paths::BILLER_BY_SLUG, operation_id = "getBiller", tag = "Billers",
    params(("slug" = Slug, Path)),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The biller.", body = BillerDetails)),
)]
pub(super) async fn get(
    key: ApiKeyFor<scope::BillersRead>,
    State(services): State<BillerServices>,
    BillerPath(slug): BillerPath,
) -> Result<Json<BillerDetails>, HttpError> {
    let biller = find_biller(&services.directory, &key, &slug).await?;
    Ok(Json(details(&services, &biller).await?))
}

/// Create a biller
///
/// With `ciam`, also starts to enable the biller: watch the `job` of the response.
#[utoipa::path(
    post, path = paths::BILLERS, operation_id = "createBiller", tag = "Billers",
    params(IdempotencyKeyHeader),
    request_body(
        content = NewBiller,
        example = json!({ "slug": "lakeside-power", "name": "Lakeside Power", "ciam": { "mode": "mfa" } }),
    ),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 201, description = "The biller was created.", body = CreatedBiller, headers(("Location" = String, description = "Path of the biller."))),
        (status = 403, description = "`api_key_restricted`: the key is restricted to other billers."),
        (status = 409, description = "`slug_taken`: a biller with this slug already exists.\n`not_configured`, `not_ready`, `invalid_state`: the biller was created, and cannot be enabled now."),
        (status = 422, description = "`validation_failed`: see `errors`.\n`unsupported_usernames`: SecureAuth does not support some of the usernames."),
        (status = 502, description = "`secureauth_unavailable`: SecureAuth did not respond."),
    ),
)]
pub(super) async fn create(
    key: ApiKeyFor<scope::BillersWrite>,
    State(services): State<BillerServices>,
    idempotency_header: IdempotencyKeyHeader,
    JsonBody(Fields(mut fields)): JsonBody<Fields>,
) -> Result<Response, HttpError> {
    let idempotency_key = idempotency_header.key(&key, &fields)?;
    let ciam_field = fields.remove("ciam");
    let row = parse_biller_row(fields)?;
    let options = parse_ciam(ciam_field, &row.patch)?;
    if !key.permits_biller(&row.slug) {
        let detail = "The API key is restricted to other billers.";
        return Err(problem(StatusCode::FORBIDDEN, "api_key_restricted", detail));
    }
    if options.is_some() && !services.provisioning.is_configured() {
        return Err(ciam::http_error(crate::provisioning::ProvisioningError::NotConfigured));
    }
    let slug = row.slug.clone();
    let mut tx = services.db.begin().await?;
    let is_first = match &idempotency_key {
        Some(idempotency_key) => idempotency_key.claim(&mut tx, services.clock.now()).await?,
        None => true,
    };
    if is_first {
        let biller =
            services.directory.upsert_biller_in(&mut tx, row, &services.import_context(&key), WriteMode::Create).await;
        let biller = biller.map_err(http_error)?;
        tx.commit().await?;
        tracing::info!(biller = %biller.slug, key = key.id, "a biller was created");
    } else {
        drop(tx);
        if let Some(idempotency_key) = &idempotency_key
            && let Some(body) = idempotency::replay(&services.db, idempotency_key).await?
        {
            return Ok(created_response(&slug, body));
        }
    }
    let job = match options {
        Some(options) => Some(enable(&services, &key, &slug, options).await?),
        None => None,
    };
    let job = job.map(|job| JobResponse::new(&job, Some(slug.clone())));
    let biller = find_biller(&services.directory, &key, &slug).await?;
    let body = json!(CreatedBiller { details: details(&services, &biller).await?, job }).to_string();
    let Some(idempotency_key) = idempotency_key else { return Ok(created_response(&slug, body)) };
    idempotency_key.store_response(&services.db, StatusCode::CREATED.as_u16(), &body).await?;
    // Two repetitions of a request may get this far: both return the response that was stored.
    Ok(created_response(&slug, idempotency::replay(&services.db, &idempotency_key).await?.unwrap_or(body)))
}

/// The enablement job of a new biller. Of all repetitions of a request, one starts it.
async fn enable(
    services: &BillerServices,
    key: &ApiKeyFor<scope::BillersWrite>,
    slug: &Slug,
    options: EnablementOptions,
) -> Result<Job, HttpError> {
    let biller = find_biller(&services.directory, key, slug).await?;
    match services.provisioning.latest_job(&biller.id).await? {
        Some(job) => Ok(job),
        None => services.provisioning.start(slug, options, key.actor_context()).await.map_err(ciam::http_error),
    }
}

/// Update a biller
///
/// What is left out stays as it is; an empty list, object or text removes the setting. Changes of where users sign in need an
/// approval: they are in `pending_changes`.
#[utoipa::path(
    patch, path = paths::BILLER_BY_SLUG, operation_id = "updateBiller", tag = "Billers",
    params(("slug" = Slug, Path)),
    request_body(content = BillerUpdate, example = json!({ "name": "Lakeside Power and Light" })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 200, description = "The biller after the update.", body = BillerDetails),
        (status = 422, description = "`validation_failed`: see `errors`."),
    ),
)]
pub(super) async fn update(
    key: ApiKeyFor<scope::BillersWrite>,
    State(services): State<BillerServices>,
    BillerPath(slug): BillerPath,
    JsonBody(Fields(mut fields)): JsonBody<Fields>,
) -> Result<Json<BillerDetails>, HttpError> {
    find_biller(&services.directory, &key, &slug).await?;
    let own = fields.insert("slug".to_owned(), json!(slug));
    if own.is_some_and(|own| own != json!(slug)) {
        return Err(validation_failed([("slug", "cannot change".to_owned())]));
    }
    let elsewhere = "cannot be set here: use PUT /api/v1/billers/{slug}/ciam".to_owned();
    if let Some(field) = ["state", "ciam"].into_iter().find(|field| fields.contains_key(*field)) {
        return Err(validation_failed([(field, elsewhere)]));
    }
    let row = parse_biller_row(fields)?;
    let mut tx = services.db.begin().await?;
    let changed =
        services.directory.upsert_biller_in(&mut tx, row, &services.import_context(&key), WriteMode::Update).await;
    changed.map_err(http_error)?;
    tx.commit().await?;
    tracing::info!(biller = %slug, key = key.id, "a biller was updated");
    let biller = find_biller(&services.directory, &key, &slug).await?;
    let mut pending = pending_changes::visible_to(&services.directory, &key).await?;
    pending.retain(|change| change.biller == slug);
    Ok(Json(BillerDetails { pending_changes: Some(pending), ..details(&services, &biller).await? }))
}

async fn details(services: &BillerServices, biller: &Biller) -> Result<BillerDetails, HttpError> {
    Ok(BillerDetails {
        biller: BillerResponse::new(&services.config, services.clock.now(), biller),
        pending_user_changes: services.directory.backlog_of(&biller.id).await?,
        pending_changes: None,
    })
}

fn created_response(slug: &Slug, body: String) -> Response {
    let mut response = (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("{}/{slug}", paths::BILLERS)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn http_error(error: UpsertError) -> HttpError {
    match error {
        UpsertError::SlugTaken => {
            problem(StatusCode::CONFLICT, "slug_taken", "A biller with this slug already exists.")
        }
        UpsertError::NotFound => not_found(),
        UpsertError::Invalid(errors) => invalid_fields(&errors),
        UpsertError::Directory(error) => error.into(),
    }
}
