//! Turns a routing decision into an HTTP response.

use axum::extract::FromRef;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::decision_record::{chosen_biller, record};
use super::login_request::LoginRequest;
use super::page_context::PageContext;
use super::redirect_loop::{self, Destination};
use super::{begin, decision_pages};
use crate::handoffs::FlowContext;
use crate::state::AppState;
use crate::web::fetch_metadata::{is_prefetch, require_navigation};
use crate::web::{HttpError, cookies};
use signpost_core::decision::{Decision, EntryPoint};

/// Decides, records the decision, and follows it. Only for a navigation: nothing is decided for a page that a browser loads in
/// advance or into another page.
pub(super) async fn decide_and_follow(
    state: &AppState,
    headers: &HeaderMap,
    request: LoginRequest,
) -> Result<Response, HttpError> {
    if is_prefetch(headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    require_navigation(headers)?;
    let result = state.routing.route(&request.routing).await;
    let code = record(state, &request.routing, &result);
    let request = request.with_reference(&code);
    match (result.verdict.decision, chosen_biller(&result)) {
        (Decision::SecureauthLogin, Some(biller)) => begin::begin(state, headers, request, biller).await,
        (Decision::LegacyLogin, _) => {
            let flow = FlowContext { biller: result.verdict.biller.clone(), ..request.flow };
            let mut response = Redirect::to(&state.handoffs().legacy_login_url(&flow)).into_response();
            // Only an address can be part of a redirect loop: typing a username breaks it.
            if let EntryPoint::Named { slug, .. } = &request.routing.entry {
                let line = redirect_loop::record(&state.keys, state.clock.now(), headers, slug, Destination::Legacy);
                cookies::add(response.headers_mut(), [line]);
            }
            Ok(response)
        }
        _ => decision_pages::page(&PageContext::from_ref(state), &request, &result),
    }
}
