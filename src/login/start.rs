//! Beginning a sign-in at a biller: `/b/{slug}`.

use std::time::Instant;

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::flow::{AuthorizationRequest, LoginFlow, OAuthState};
use super::follow::{self, RequestContext, decide_and_follow};
use super::{flow_token, redirect_loop};
use crate::directory::{Biller, IssuerEndpoint};
use crate::routing::{Overrides, RoutingRequest};
use crate::secureauth::{self, IssuerContact, ProviderError};
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, FlowToken, HandoffPayload};
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths, registrations};
use signpost_core::decision::{Decision, EntryPoint, IssuerHealth, Via};
use signpost_core::{Purpose, ReferenceCode, Slug};

/// No `state` of a portal is longer.
const MAX_PORTAL_STATE_LENGTH: usize = 512;

/// `GET /b/{slug}`: to the biller's sign-in, wherever that is at this moment.
pub(super) async fn biller_entry(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    if is_prefetch(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let fields = Fields::parse(query.as_deref().unwrap_or_default().as_bytes()).unwrap_or_default();
    let return_to = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked));
    let slug = match Slug::parse(&slug) {
        Ok(slug) => slug,
        // Typed off a bill, with capitals.
        Err(_) => {
            let lower = Slug::parse(&slug.to_ascii_lowercase());
            let lower =
                lower.map_err(|_| unknown_biller(&state, &flow_token::new(language.locale, None, return_to)))?;
            let address = paths::with_raw_query(paths::biller(&lower), query.as_deref());
            return Ok(Redirect::permanent(&address).into_response());
        }
    };
    let flow = match fields.get("h") {
        Some(hint) => LoginFlow::open(&state, &slug, hint).ok_or_else(|| invalid_link(&slug))?,
        None => LoginFlow {
            return_to,
            portal_state: fields.get("state").filter(|s| s.len() <= MAX_PORTAL_STATE_LENGTH).map(str::to_owned),
            ..LoginFlow::default()
        },
    };
    // Whoever comes by a link of ours has clicked on it.
    if !fields.has("h") {
        let again = LoginFlow { locale: Some(language.locale), ..flow.clone() };
        redirect_loop::check(&state, &headers, &slug, &again.link(&state, &slug))?;
    }
    let remember = flow.remember && !is_cross_site(&headers);
    let entry = EntryPoint::Named { slug: slug.clone(), via: Via::VanityPath };
    let routing_request = RoutingRequest { entry, name: flow.name(), remembered: Vec::new() };
    let context = RequestContext {
        language: language.or(flow.locale),
        return_to: flow.return_to,
        portal_state: flow.portal_state,
        restarts: flow.restarts,
        remember: false,
    };
    let mut response = decide_and_follow(&state, &headers, routing_request, context).await?;
    if let Some(biller) = state.directory.last_known_billers().by_slug(&slug).filter(|_| remember) {
        cookies::add(response.headers_mut(), [Device::from_headers(&state, &headers).remember(&state, biller)]);
    }
    Ok(response)
}

/// Another site must not make a device remember anything: the person would not have asked for it.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}

/// Sends the browser to the biller's issuer.
pub(super) async fn begin(
    state: &AppState,
    headers: &HeaderMap,
    routing_request: &RoutingRequest,
    biller: &Biller,
    context: RequestContext,
    code: &ReferenceCode,
) -> Result<Response, HttpError> {
    let Some((registration, _)) = registrations::for_biller(state, biller) else {
        return follow::outage(state, routing_request, biller, context, code);
    };
    let mut request = AuthorizationRequest::new(state, &biller.slug, &registration.issuer);
    let flow = LoginFlow {
        authorization_request_id: request.id.clone(),
        ..follow::login_flow(routing_request, context.clone(), code)
    };
    let hint = flow.name.clone();
    let oauth_state = state.keys.seal(Purpose::OAuthState, "", &OAuthState { slug: biller.slug.clone(), flow });
    let secrets = secureauth::AuthorizationSecrets { nonce: &request.nonce, pkce_verifier: &request.verifier };
    let parameters =
        secureauth::RequestParams { state: &oauth_state, login_hint: hint.as_deref(), locale: context.language.locale };
    let began = Instant::now();
    let outcome = state.providers.authorization_url(&registration, secrets, parameters).await;
    if let Some(is_good) = issuer_call_succeeded(&outcome) {
        state.calls.record(&biller.slug, began.elapsed(), is_good);
    }
    let (address, provider) = match outcome {
        Ok((address, provider, contact)) => {
            match contact {
                IssuerContact::NotContacted => {}
                IssuerContact::Succeeded => {
                    registrations::record_issuer_success(state, biller, IssuerEndpoint::Metadata).await
                }
                IssuerContact::Failed(error) => {
                    registrations::record_issuer_failure(state, biller, IssuerEndpoint::Metadata, &error).await
                }
            }
            (address, provider)
        }
        Err(error) => {
            registrations::record_issuer_failure(state, biller, IssuerEndpoint::Metadata, &error).await;
            return issuer_unavailable(state, routing_request, biller, context, &error).await;
        }
    };
    state.returns.record_started(&biller.slug);
    request.needs_iss = provider.sends_iss() || biller.pinned_iss.as_ref() == Some(&registration.issuer);
    let mut response = Redirect::to(address.as_str()).into_response();
    cookies::add(response.headers_mut(), request.cookies(state, headers));
    Ok(response)
}

/// Whether the issuer was asked anything, and did well.
fn issuer_call_succeeded<T>(outcome: &Result<(url::Url, T, IssuerContact), ProviderError>) -> Option<bool> {
    match outcome {
        Ok((_, _, IssuerContact::NotContacted)) => None,
        Ok((_, _, IssuerContact::Succeeded)) => Some(true),
        Ok((_, _, IssuerContact::Failed(error))) | Err(error) => Some(!error.is_issuer_failure()),
    }
}

/// The issuer failed just now: what the biller's policy says for an outage.
async fn issuer_unavailable(
    state: &AppState,
    routing_request: &RoutingRequest,
    biller: &Biller,
    context: RequestContext,
    error: &ProviderError,
) -> Result<Response, HttpError> {
    tracing::warn!(biller = %biller.slug, reason = error.reason(), "a sign-in could not begin");
    let down = Overrides { issuers: vec![(biller.slug.clone(), IssuerHealth::Down)], ..Overrides::default() };
    let routing_result = state.routing.route_with_overrides(routing_request, &down).await;
    let code = &follow::record(state, routing_request, &routing_result);
    if routing_result.verdict.decision == Decision::LegacyLogin {
        let slug = routing_result.verdict.biller.clone();
        let payload =
            HandoffPayload::new(code, context.language.locale, routing_request.name.clone(), slug, context.return_to);
        return Ok(Redirect::to(&handoffs::legacy_login_url(state, &payload)).into_response());
    }
    follow::outage(state, routing_request, biller, context, code)
}

/// A browser that loads pages before they are asked for must not begin anything.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .any(|value| value.contains("prefetch"))
}

pub(super) fn unknown_biller(state: &AppState, flow_token: &FlowToken) -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "unknown_biller", "error-unknown-biller")
        .with_link("action-find-biller", flow_token::address(state, paths::RECOVER, flow_token))
        .with_link("action-sign-in-page", flow_token::address(state, paths::LOGIN, flow_token))
}

fn invalid_link(slug: &Slug) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, "invalid_link", "error-invalid-link")
        .for_biller(slug.as_str())
        .with_link("action-continue-to-sign-in", paths::biller(slug))
}
