//! Sign-out: first here, then at the identity provider (OpenID Connect RP-Initiated Logout 1.0).

use axum::Extension;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::page_context::PageContext;
use super::pages::{LogoutPage, SignedInBiller, SignedOutPage};
use super::signed_in::{sessions, signed_in};
use super::{redirect_loop, show};
use crate::directory::Biller;
use crate::handoffs::FlowContext;
use crate::sessions::BillerSession;
use crate::state::AppState;
use crate::web::browser_session::BrowserSession;
use crate::web::extract::{Form, Query};
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths, registrations};
use signpost_core::{KeyRing, Purpose, Slug};

/// What the signed-out page tells, sealed in `state`.
#[derive(Serialize, Deserialize)]
struct SignedOut {
    biller: Slug,
    /// The browser has been to the identity provider's logout. Otherwise the customer may still be signed in there.
    at_provider: bool,
}

/// `GET /logout`: asks first, because a link must not sign anybody out. `?biller=` asks about one biller only.
pub(super) async fn confirm(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: BrowserSession,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let mut rows = sessions(&state, &session).await?;
    // A customer who is signed in only at other billers sees those.
    let is_requested = |biller: &Biller| fields.get("biller").is_none_or(|slug| biller.slug.as_str() == slug);
    if rows.iter().any(|(biller, _)| is_requested(biller)) {
        rows.retain(|(biller, _)| is_requested(biller));
    }
    let mut targets = Vec::new();
    for (biller, _) in &rows {
        targets.extend(end_session_address(&state, biller, None).await.map(|url| url.origin().ascii_serialization()));
    }
    let billers = rows
        .iter()
        .map(|(biller, _)| SignedInBiller { name: biller.name.clone(), slug: biller.slug.to_string() })
        .collect();
    let pages = PageContext::from_ref(&state);
    let chrome = show::chrome(&pages, &language, &FlowContext::default(), None);
    show::form_page(StatusCode::OK, &LogoutPage { chrome, billers }, targets)
}

/// `POST /logout`: ends the session at one biller, then goes to its issuer. The form may leave out the biller if there is only
/// one.
pub(super) async fn submit(
    State(state): State<AppState>,
    session: BrowserSession,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let rows = sessions(&state, &session).await?;
    let requested = fields.get("biller");
    let found = match (requested, rows.as_slice()) {
        (Some(slug), rows) => rows.iter().find(|(biller, _)| biller.slug.as_str() == slug),
        (None, [only]) => Some(only),
        (None, []) => None,
        (None, _) => return Ok(Redirect::to(paths::LOGOUT).into_response()),
    };
    let Some((biller, _)) = found else {
        let mut response = Redirect::to(paths::SIGNED_OUT).into_response();
        cookies::add(response.headers_mut(), session.removal());
        return Ok(response);
    };
    let (ended, removal) = session.sign_out(&biller.id).await?;
    let target = match &ended {
        Some(row) => end_session_address(&state, biller, Some(row)).await,
        None => None,
    };
    let target = target.map_or_else(|| signed_out_address(&state.keys, &biller.slug), String::from);
    let mut response = Redirect::to(&target).into_response();
    cookies::add(response.headers_mut(), removal.into_iter().chain([redirect_loop::forget()]));
    Ok(response)
}

/// `GET /signed-out`: confirms the sign-out. The sealed `state` names the biller.
pub(super) async fn signed_out(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: BrowserSession,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let opened = fields.get("state").and_then(|sealed| state.keys.open::<SignedOut>(Purpose::Logout, "", sealed).ok());
    let billers = state.directory.billers_or_last_known().await;
    let biller = opened.as_ref().and_then(|opened| billers.by_slug(&opened.biller));
    // The sign-out is done. Without the database the page does not name the other billers.
    let remaining = signed_in(&state, &session).await.unwrap_or_default();
    let pages = PageContext::from_ref(&state);
    let page = SignedOutPage {
        chrome: show::chrome(&pages, &language, &FlowContext::default(), biller.map(|biller| &**biller)),
        biller: biller.map(|biller| biller.name.clone()),
        unconfirmed: biller
            .filter(|_| opened.as_ref().is_some_and(|opened| !opened.at_provider))
            .map(|biller| biller.name.clone()),
        remaining: remaining.iter().map(|(biller, _)| biller.name.clone()).collect(),
    };
    show::page(StatusCode::OK, &page)
}

/// The issuer's end-session endpoint, if it has one. For a session that has ended, with the parameters of the request.
async fn end_session_address(state: &AppState, biller: &Biller, ended: Option<&BillerSession>) -> Option<url::Url> {
    let (registration, _) = registrations::for_biller(&state.keys, &state.config, biller)?;
    let (provider, _) = state.providers.get(&registration).await.ok()?;
    let mut address = provider.end_session_endpoint()?.clone();
    if let Some(row) = ended {
        let mut query = address.query_pairs_mut();
        if let Ok(id_token) = state.keys.open::<String>(Purpose::Storage, "id_token", &row.details.id_token) {
            query.append_pair("id_token_hint", &id_token);
        }
        let back = paths::absolute(&state.config, paths::SIGNED_OUT);
        query
            .append_pair("client_id", &registration.client_id)
            .append_pair("post_logout_redirect_uri", back.as_str())
            .append_pair("state", &sealed_state(&state.keys, &biller.slug, true));
    }
    Some(address)
}

fn signed_out_address(keys: &KeyRing, slug: &Slug) -> String {
    paths::with_query(paths::SIGNED_OUT, "state", &sealed_state(keys, slug, false))
}

fn sealed_state(keys: &KeyRing, slug: &Slug, at_provider: bool) -> String {
    keys.seal(Purpose::Logout, "", &SignedOut { biller: slug.clone(), at_provider })
}
