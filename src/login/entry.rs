//! A biller's own entry point: `/b/{slug}`.

use axum::Extension;
use axum::extract::{FromRef, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::follow::decide_and_follow;
use super::login_request::LoginRequest;
use super::page_context::PageContext;
use super::{addresses, errors, redirect_loop};
use crate::handoffs::FlowContext;
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::extract::{Query, TypedBillerPath};
use crate::web::fetch_metadata::{is_cross_site, is_prefetch};
use crate::web::fields::Fields;
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths};
use signpost_core::Slug;
use signpost_core::decision::{EntryPoint, Via};

const MAX_PORTAL_STATE_LENGTH: usize = 512;

/// `GET /b/{slug}`: to the biller's sign-in, wherever that is now. `?h=` continues a flow; `?return_to=` and `?state=` come
/// from a portal.
pub(super) async fn biller_entry(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    path: TypedBillerPath,
    Query(fields): Query,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    if is_prefetch(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let return_to = PageContext::from_ref(&state).resolve_return_to(fields.get("return_to"));
    let slug = match path {
        TypedBillerPath::Slug(slug) => slug,
        TypedBillerPath::Capitals(slug) => {
            let address = paths::with_raw_query(paths::biller(&slug), query.as_deref());
            return Ok(Redirect::permanent(&address).into_response());
        }
        TypedBillerPath::Invalid => {
            let flow = FlowContext { locale: Some(language.locale), return_to, ..FlowContext::default() };
            return Err(errors::unknown_biller(&state.keys, &flow));
        }
    };
    let flow = match fields.get("h") {
        Some(hint) => FlowContext::open_hint(&state.keys, &slug, hint).ok_or_else(|| invalid_link(&slug))?,
        None => FlowContext { return_to, portal_state: portal_state(&fields), ..FlowContext::default() },
    };
    // A customer who follows a link of ours has clicked it, so there is no loop.
    if !fields.has("h") {
        let again = || {
            let flow = FlowContext { locale: Some(language.locale), ..flow.clone() };
            addresses::sign_in(&state.keys, &slug, &flow)
        };
        redirect_loop::check(&state.keys, state.clock.now(), &headers, &slug, again)?;
    }
    // Another site must not make a device remember a biller.
    let remember = flow.remember && !is_cross_site(&headers);
    let entry = EntryPoint::Named { slug: slug.clone(), via: Via::VanityPath };
    let device = Device::from_headers(&state.keys, &headers);
    let language = language.or(flow.locale);
    let request = LoginRequest::new(entry, language, FlowContext { remember: false, ..flow }, device.clone());
    let mut response = decide_and_follow(&state, &headers, request).await?;
    if let Some(biller) = state.directory.last_known_billers().by_slug(&slug).filter(|_| remember) {
        cookies::add(response.headers_mut(), [device.remember(&state.keys, biller)]);
    }
    Ok(response)
}

/// The `state` of a portal, which it gets back.
pub(super) fn portal_state(fields: &Fields) -> Option<String> {
    fields.get("state").filter(|state| state.len() <= MAX_PORTAL_STATE_LENGTH).map(str::to_owned)
}

fn invalid_link(slug: &Slug) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, "invalid_link", "error-invalid-link")
        .for_biller(slug.as_str())
        .with_link("action-continue-to-sign-in", paths::biller(slug))
}
