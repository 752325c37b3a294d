//! API keys of machine clients: create, list, revoke.
//!
//! Keys that can approve changes or create keys are created on the command line only: such a key would let an operator
//! approve their own changes.

use axum::extract::State;
use axum::response::{Redirect, Response};
use http::StatusCode;

use super::extract::{Operator, PathId};
use super::pages::{Badge, KeyForm, KeyView, KeysPage};
use super::staff::Staff;
use super::{Console, respond, simulation_form};
use crate::access::{ApiKey, Audience, NewApiKey, Scope};
use crate::web::HttpError;
use crate::web::extract::{Form, Query};
use crate::web::fields::Fields;
use signpost_core::{FieldErrors, Slug, Timestamp};

/// API keys.
pub(super) const KEYS: &str = "/keys";

const SELECTABLE_SCOPES: &[Scope] = &[
    Scope::Simulate,
    Scope::DecisionsRead,
    Scope::BillersRead,
    Scope::CiamWrite,
    Scope::HandoffRedeem,
    Scope::IdentityRead,
    Scope::IdentityWrite,
    Scope::AuditRead,
];

/// `GET /keys`
pub(super) async fn list(
    State(console): State<Console>,
    staff: Staff,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let done = fields.has("revoked").then_some("API key revoked.");
    page(&console, &staff, StatusCode::OK, (KeyForm::default(), FieldErrors::default()), None, done).await
}

/// `POST /new-key`: makes one; the answer is the only place where it can be seen.
pub(super) async fn create(
    State(console): State<Console>,
    Operator(staff): Operator,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let form = form(&fields);
    match parse_form(&console, &form).await? {
        Ok(new) => {
            let key = console.app.api_keys.create(&new, &console.actor_context(&staff)).await?;
            page(&console, &staff, StatusCode::OK, (KeyForm::default(), FieldErrors::default()), Some(key), None).await
        }
        Err(errors) => page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, (form, errors), None, None).await,
    }
}

/// `POST /keys/{id}/revoke`
pub(super) async fn revoke(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathId(id): PathId,
) -> Result<Redirect, HttpError> {
    if !console.app.api_keys.list().await?.iter().any(|key| key.id == id) {
        return Err(HttpError::from_status(StatusCode::NOT_FOUND));
    }
    console.app.api_keys.revoke(&id, &console.actor_context(&staff)).await?;
    Ok(Redirect::to("/keys?revoked"))
}

fn form(fields: &Fields) -> KeyForm {
    let text = |name: &str| fields.get(name).unwrap_or_default().trim().to_owned();
    let chosen = |scope: &&Scope| fields.has(scope.as_str());
    KeyForm {
        name: text("name"),
        scopes: SELECTABLE_SCOPES.iter().filter(chosen).map(|scope| scope.as_str()).collect(),
        billers: text("billers"),
        audience: text("audience"),
        expires_at: text("expires_at"),
    }
}

/// The key that is asked for, or what is wrong.
async fn parse_form(console: &Console, form: &KeyForm) -> Result<Result<NewApiKey, FieldErrors>, HttpError> {
    let known = console.app.directory.billers().await?;
    let mut errors = FieldErrors::default();
    let mut invalid = |field: &str, sentence: &str| errors.push(field, sentence);
    if !(1..=100).contains(&form.name.len()) || form.name.chars().any(char::is_control) {
        invalid("name", "Enter a name of 1 to 100 characters");
    }
    let scopes: Vec<Scope> = form.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect();
    if scopes.is_empty() {
        invalid("simulate", "Choose at least one scope");
    }
    let names = form.billers.split([',', ' ']).filter(|name| !name.is_empty());
    let billers: Vec<Option<Slug>> =
        names.map(|name| Slug::parse(name).ok().filter(|slug| known.by_slug(slug).is_some())).collect();
    if billers.iter().any(Option::is_none) {
        invalid("billers", "Enter slugs of existing billers, separated by commas");
    }
    let expires_at = simulation_form::parse_time(&form.expires_at);
    let is_past = |at: Timestamp| at <= console.app.clock.now();
    if (expires_at.is_none() && !form.expires_at.is_empty()) || expires_at.is_some_and(is_past) {
        invalid("expires_at", "Enter a date and time in the future");
    }
    let billers: Vec<Slug> = billers.into_iter().flatten().collect();
    let new = NewApiKey {
        name: form.name.clone(),
        scopes,
        audience: Audience::parse(&form.audience),
        billers: (!billers.is_empty()).then_some(billers),
        expires_at,
    };
    Ok(if errors.is_empty() { Ok(new) } else { Err(errors) })
}

fn view(key: &ApiKey, now: Timestamp) -> KeyView {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let billers = key.billers.as_ref().map(|billers| billers.iter().map(Slug::as_str).collect::<Vec<_>>().join(", "));
    let (word, tone) = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => ("revoked", ""),
        (None, Some(end)) if end <= now => ("expired", ""),
        (None, _) => ("active", "good"),
    };
    KeyView {
        id: key.id.clone(),
        name: key.name.clone(),
        state: Badge { word: word.to_owned(), tone },
        is_active: tone == "good",
        scopes: scopes.join(", "),
        billers: billers.unwrap_or_else(|| "all".to_owned()),
        expires_at: key.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        last_used: key.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
    }
}

async fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    (form, errors): (KeyForm, FieldErrors),
    created_key: Option<String>,
    done: Option<&'static str>,
) -> Result<Response, HttpError> {
    let now = console.app.clock.now();
    let mut keys: Vec<KeyView> = console.app.api_keys.list().await?.iter().map(|key| view(key, now)).collect();
    keys.sort_by_key(|key| !key.is_active);
    let selectable_scopes = SELECTABLE_SCOPES.iter().map(|scope| scope.as_str()).collect();
    let can_operate = staff.can_operate();
    respond::page(console, Some(staff), status, |chrome| KeysPage {
        chrome,
        keys,
        form,
        selectable_scopes,
        created_key,
        done,
        errors,
        can_operate,
    })
}
