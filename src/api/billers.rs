//! `/api/v1/billers`: what the biller wizard does. The fields are those of a file of billers.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::auth::require;
use super::jobs::{JobAnswer, unknown};
use super::problem::{problem, read_json, wrong_fields};
use super::{changes, ciam, repeats};
use crate::access::{ApiKey, Scope};
use crate::decision::CiamState;
use crate::directory::import_billers::{BillerRow, Expect, OneError, Tools};
use crate::directory::{Biller, PasswordCarryOver};
use crate::enablement::{CiamMode, Job, Order};
use crate::kernel::{Slug, Timestamp};
use crate::routing::stable_address;
use crate::state::AppState;
use crate::web::{Refusal, paths};

/// A biller, as machines see it: no secrets.
#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    slug: &'a Slug,
    name: &'a str,
    ciam: Ciam,
    active_from: Option<String>,
    passwords: PasswordCarryOver,
    private: bool,
    hold: bool,
    legacy_accounts: bool,
    when_suspended: Value,
    outage_policy: Value,
    hosts: &'a [String],
    rollout: Value,
    oidc: Option<Value>,
    portal_url: Option<&'a str>,
    support: Value,
    contact_email: Option<&'a str>,
}

/// Where a biller's move stands.
#[derive(Serialize)]
struct Ciam {
    active: bool,
    status: &'static str,
    mode: Option<CiamMode>,
    activated_at: Option<String>,
    /// The biller's own address, to be handed out.
    login_url: String,
}

impl<'a> Answer<'a> {
    fn new(state: &AppState, biller: &'a Biller, mode: Option<CiamMode>) -> Self {
        let settings = &biller.settings;
        let moved = matches!(biller.state, CiamState::Active | CiamState::Suspended);
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let oidc = settings.oidc.as_ref().map(|oidc| {
            let mut oidc = json!(oidc);
            if let Some(fields) = oidc.as_object_mut() {
                fields.retain(|name, _| !matches!(name.as_str(), "client_secret" | "second_client_secret"));
            }
            oidc
        });
        Self {
            id: biller.id.as_str(),
            slug: &biller.slug,
            name: &biller.name,
            ciam: Ciam {
                active: biller.is_active(state.clock.now()),
                status: biller.state.as_str(),
                mode,
                activated_at: time(biller.active_from.filter(|_| moved)),
                login_url: stable_address(&state.config, biller),
            },
            active_from: time(biller.active_from),
            passwords: settings.passwords,
            private: settings.private,
            hold: settings.hold,
            legacy_accounts: settings.legacy_accounts,
            when_suspended: json!(settings.when_suspended),
            outage_policy: json!(settings.outage_policy),
            hosts: &biller.hosts,
            rollout: json!({ "allow": settings.rollout_allow, "percent": settings.rollout_percent }),
            oidc,
            portal_url: settings.portal_url.as_deref(),
            support: json!(settings.support),
            contact_email: settings.contact_email.as_deref(),
        }
    }
}

/// `GET /api/v1/billers`: all that the key reaches, by slug.
pub(super) async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let (billers, modes) = (state.directory.billers().await?, state.enablement.modes().await?);
    let shown = billers.iter().filter(|biller| key.reaches(&biller.slug));
    let shown: Vec<_> =
        shown.map(|biller| Answer::new(&state, biller, modes.get(biller.id.as_str()).copied())).collect();
    Ok(Json(json!({ "billers": shown })))
}

/// `GET /api/v1/billers/{slug}`
pub(super) async fn one(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.reaches(slug)).ok_or_else(unknown)?;
    Ok(Json(shown(&state, &slug).await?))
}

/// `POST /api/v1/billers`: makes a biller and, with `ciam`, begins at once to enable it. 201.
pub(super) async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let mut fields: Map<String, Value> = read_json(&headers, &body)?;
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
    let mut body = shown(&state, &slug).await?;
    body["job"] = json!(job.map(|job| JobAnswer::new(&job, Some(slug.clone()))));
    let body = body.to_string();
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

/// `PATCH /api/v1/billers/{slug}`: what is left out stays as it is; an empty list, table or text takes it away. Changes of
/// where people sign in wait for a second person: they are in `pending`.
pub(super) async fn change(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.reaches(slug)).ok_or_else(unknown)?;
    let mut fields: Map<String, Value> = read_json(&headers, &body)?;
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
    let mut body = shown(&state, &slug).await?;
    let mut pending = changes::waiting(&state, &key).await?;
    pending.retain(|change| change["biller"] == json!(slug));
    body["pending"] = json!(pending);
    Ok(Json(body))
}

async fn shown(state: &AppState, slug: &Slug) -> Result<Value, Refusal> {
    let biller = state.directory.named(slug).await?.ok_or_else(unknown)?;
    let mode = state.enablement.modes().await?.get(biller.id.as_str()).copied();
    let mut body = json!(Answer::new(state, &biller, mode));
    // Users whose changes have not reached SecureAuth yet.
    body["users_pending"] = json!(state.directory.backlog_of(&biller.id).await?);
    Ok(body)
}

fn created(slug: &Slug, body: String) -> Response {
    let mut response = (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let Ok(place) = HeaderValue::try_from(format!("{}/{slug}", paths::BILLERS)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// The wizard's CIAM box: ticked, or with how.
fn order(wish: Option<Value>, row: &BillerRow) -> Result<Option<Order>, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct How {
        #[serde(default)]
        mode: CiamMode,
        #[serde(default)]
        passwords: PasswordCarryOver,
    }
    let order = match wish {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => Order::default(),
        Some(how @ Value::Object(_)) => {
            let How { mode, passwords } =
                serde_json::from_value(how).map_err(|error| wrong_fields([("ciam", error.to_string())]))?;
            Order { mode, passwords }
        }
        Some(_) => {
            let text = "true, false, or {\"mode\": …, \"passwords\": …} is expected".to_owned();
            return Err(wrong_fields([("ciam", text)]));
        }
    };
    if row.oidc.is_some() || row.state.is_some_and(|state| state != CiamState::Legacy) {
        return Err(wrong_fields([(
            "ciam",
            "a biller that is to be enabled begins as legacy, without oidc".to_owned(),
        )]));
    }
    Ok(Some(order))
}

/// Reads the fields; all that are wrong are told together.
fn read_row(mut fields: Map<String, Value>) -> Result<BillerRow, Refusal> {
    let mut wrong: Vec<(String, String)> = Vec::new();
    // Nothing would come of a null, and it might be meant to take something away.
    fields.retain(|name, value| {
        if value.is_null() {
            wrong.push((name.clone(), "null is no value; an empty list, table or text takes it away".to_owned()));
        }
        !value.is_null()
    });
    loop {
        match serde_path_to_error::deserialize::<_, BillerRow>(Value::Object(fields.clone())) {
            Ok(row) if wrong.is_empty() => {
                let text = "the secret itself is expected".to_owned();
                let elsewhere = row.secrets_from_this_machine();
                let elsewhere: Vec<_> = elsewhere.into_iter().map(|field| (field, text.clone())).collect();
                return if elsewhere.is_empty() { Ok(row) } else { Err(wrong_fields(elsewhere)) };
            }
            Ok(_) => break,
            Err(error) => {
                let path = error.path().to_string();
                let first = path.split(['.', '[']).next().unwrap_or_default().to_owned();
                // Not with the text that stands there: it may be a secret.
                let what =
                    if path.contains("secret") { "not a secret".to_owned() } else { error.into_inner().to_string() };
                let field = if fields.contains_key(&first) { path } else { missing(&what).to_owned() };
                if !wrong.iter().any(|(known, _)| *known == field) {
                    wrong.push((field, what));
                }
                // The others may be wrong as well.
                if fields.remove(&first).is_none() {
                    break;
                }
            }
        }
    }
    Err(wrong_fields(wrong.iter().map(|(field, text)| (field.as_str(), text.clone()))))
}

/// The field that a sentence of serde's calls missing.
fn missing(what: &str) -> &str {
    what.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')).unwrap_or_default()
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
