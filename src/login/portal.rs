//! To the portal of a biller where the customer is signed in: `/go/{slug}`.

use axum::Extension;
use axum::extract::{FromRef, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::addresses;
use super::page_context::PageContext;
use super::redirect_loop::{self, Destination};
use super::signed_in::signed_in;
use crate::handoffs::FlowContext;
use crate::state::AppState;
use crate::web::browser_session::BrowserSession;
use crate::web::extract::{BillerPath, Query};
use crate::web::fetch_metadata::{is_prefetch, require_navigation};
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths};

/// `GET /go/{slug}`: to the biller's portal, or to its sign-in if the customer is not signed in. `?h=` and `?return_to=` are
/// those of `/b/{slug}`.
pub(super) async fn go(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: BrowserSession,
    BillerPath(slug): BillerPath,
    Query(fields): Query,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    if is_prefetch(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    require_navigation(&headers)?;
    let is_own_link = fields.has("h");
    let hint = fields.get("h").and_then(|hint| FlowContext::open_hint(&state.keys, &slug, hint));
    let mut flow = hint.unwrap_or_default();
    if let Some(return_to) = PageContext::from_ref(&state).resolve_return_to(fields.get("return_to")) {
        flow.return_to = Some(return_to);
    }
    let again = || addresses::sign_in(&state.keys, &slug, &flow);
    let retry = || paths::with_raw_query(paths::go(&slug), query.as_deref());
    let found = signed_in(&state, &session).await.map_err(|error| error.or_link("action-try-again", retry))?;
    let found = found.into_iter().find(|(biller, _)| biller.slug == slug);
    let Some((biller, row)) = found else { return Ok(Redirect::to(&again()).into_response()) };
    let now = state.clock.now();
    if !is_own_link {
        redirect_loop::check(&state.keys, now, &headers, &slug, again)?;
    }
    let flow = FlowContext {
        locale: Some(language.or(flow.locale).locale),
        biller: Some(slug.clone()),
        reference: state.decisions.page_code().to_string(),
        ..flow
    };
    let address = state.handoffs().portal_url(&row.id, biller.settings.portal_url.as_deref(), &flow);
    let mut response = Redirect::to(&address).into_response();
    // A link of ours is followed by Back or a reload, which is no loop.
    if !is_own_link {
        let line = redirect_loop::record(&state.keys, now, &headers, &slug, Destination::Portal);
        cookies::add(response.headers_mut(), [line]);
    }
    Ok(response)
}
