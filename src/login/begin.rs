//! Starting a sign-in at a biller's identity provider.

use std::time::Instant;

use axum::extract::FromRef;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use tracing::Instrument;

use super::authorization_request::{self, AuthorizationRequest, OAuthState};
use super::callback_error::setup_fault;
use super::decision_pages;
use super::decision_record::record;
use super::login_request::LoginRequest;
use super::page_context::PageContext;
use crate::directory::{Biller, IssuerEndpoint};
use crate::handoffs::{Envelope, FlowContext};
use crate::routing::Overrides;
use crate::secureauth::{AuthorizationSecrets, IssuerContact, ProviderError, Registration, RequestParams};
use crate::state::AppState;
use crate::telemetry::traces::{self, NewSpan};
use crate::web::{HttpError, cookies, registrations};
use signpost_core::decision::{Decision, IssuerHealth};

/// Redirects the browser to the biller's identity provider.
pub(super) async fn begin(
    state: &AppState,
    headers: &HeaderMap,
    request: LoginRequest,
    biller: &Biller,
) -> Result<Response, HttpError> {
    traces::in_span(|| NewSpan::step("begin sign-in"), authorize(state, headers, request, biller)).await
}

async fn authorize(
    state: &AppState,
    headers: &HeaderMap,
    request: LoginRequest,
    biller: &Biller,
) -> Result<Response, HttpError> {
    let Some((registration, _)) = registrations::for_biller(&state.keys, &state.config, biller) else {
        if registrations::record_unreadable_secret(state, biller).await {
            return Err(setup_fault(&state.keys, &biller.slug, &request.flow, registrations::SECRET_UNREADABLE));
        }
        return decision_pages::outage(&PageContext::from_ref(state), &request, biller);
    };
    let (nonce, pkce_verifier) = (state.random.token::<24>(), state.random.token::<48>());
    let envelope = Envelope::new(&state.clock, &state.random, ());
    let oauth_state = OAuthState {
        slug: biller.slug.clone(),
        authorization_request_id: envelope.id.clone(),
        flow: request.flow.clone(),
    };
    let oauth_state = oauth_state.seal(&state.keys);
    let secrets = AuthorizationSecrets { nonce: &nonce, pkce_verifier: &pkce_verifier };
    let parameters = RequestParams {
        state: &oauth_state,
        login_hint: request.flow.name.as_deref(),
        locale: request.language.locale,
    };
    let started = Instant::now();
    let outcome = state.providers.authorization_url(&registration, secrets, parameters).await;
    if let Some(is_success) = issuer_call_succeeded(&outcome) {
        state.calls.record(&biller.slug, started.elapsed(), is_success);
    }
    record_contact(state, biller, &registration, &outcome).await;
    let (address, provider, _) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            if let Some(fault) = error.setup_fault() {
                tracing::warn!(biller = %biller.slug, reason = fault, "a sign-in could not start");
                return Err(setup_fault(&state.keys, &biller.slug, &request.flow, fault));
            }
            return issuer_unavailable(state, request, biller, &error).await;
        }
    };
    state.returns.record_started(&biller.slug);
    state.metrics.record_sign_in_started(biller.slug.as_str());
    let authorization = envelope.map(|()| AuthorizationRequest {
        slug: biller.slug.clone(),
        token_endpoint: provider.token_endpoint().clone(),
        needs_iss: provider.sends_iss() || biller.pinned_iss.as_ref() == Some(&registration.issuer),
        form_post: registration.authorization_params.form_post,
        issuer: registration.issuer,
        nonce,
        pkce_verifier,
    });
    let mut response = Redirect::to(address.as_str()).into_response();
    let lines = authorization_request::cookies(&state.keys, &authorization, headers);
    cookies::add(response.headers_mut(), lines);
    Ok(response)
}

type Outcome<T> = Result<(url::Url, T, IssuerContact), ProviderError>;

/// None if the issuer was not contacted.
fn issuer_call_succeeded<T>(outcome: &Outcome<T>) -> Option<bool> {
    match outcome {
        Ok((_, _, IssuerContact::NotContacted | IssuerContact::RefreshDue)) => None,
        Ok((_, _, IssuerContact::Succeeded)) => Some(true),
        Ok((_, _, IssuerContact::Failed(error))) | Err(error) => Some(!error.is_issuer_failure()),
    }
}

async fn record_contact<T>(state: &AppState, biller: &Biller, registration: &Registration, outcome: &Outcome<T>) {
    match outcome {
        Ok((_, _, IssuerContact::NotContacted)) => {}
        Ok((_, _, IssuerContact::RefreshDue)) => {
            if state.providers.claim_refresh(registration).await {
                let (state, biller) = (state.clone(), biller.clone());
                let probe = async move { registrations::probe_and_record(&state, &biller).await };
                tokio::spawn(traces::in_current_span(probe.in_current_span()));
            }
        }
        Ok((_, _, IssuerContact::Succeeded)) => {
            registrations::record_issuer_success(state, biller, IssuerEndpoint::Metadata).await;
        }
        Ok((_, _, IssuerContact::Failed(error))) | Err(error) => {
            registrations::record_issuer_failure(state, biller, IssuerEndpoint::Metadata, error).await;
        }
    }
}

/// The issuer has just failed: decides again, by the biller's outage policy.
async fn issuer_unavailable(
    state: &AppState,
    request: LoginRequest,
    biller: &Biller,
    error: &ProviderError,
) -> Result<Response, HttpError> {
    tracing::warn!(biller = %biller.slug, reason = error.reason(), "a sign-in could not start");
    state.metrics.record_sign_in_refused(biller.slug.as_str(), error.reason());
    let down = Overrides { issuers: vec![(biller.slug.clone(), IssuerHealth::Down)], ..Overrides::default() };
    let result = state.routing.route_with_overrides(&request.routing, &down).await;
    let code = record(state, &request.routing, &result);
    let request = request.with_reference(&code);
    if result.verdict.decision == Decision::LegacyLogin {
        let flow = FlowContext { biller: result.verdict.biller, ..request.flow };
        return Ok(Redirect::to(&state.handoffs().legacy_login_url(&flow)).into_response());
    }
    decision_pages::outage(&PageContext::from_ref(state), &request, biller)
}
