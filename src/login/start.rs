//! Beginning a sign-in at a biller: `/b/{slug}`.

use std::time::Instant;

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::flow::{Attempt, Journey, Travelling};
use super::follow::{self, Visitor, decide_and_follow};
use super::{bounce, carried};
use crate::directory::{Biller, Call};
use crate::routing::{Arrival, Overrides};
use crate::secureauth::{self, Contact, ProviderError};
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, Luggage, RecoverToken};
use crate::web::language::Language;
use crate::web::{Refusal, cookies, paths, registrations};
use signpost_core::decision::{Decision, Entry, IssuerHealth, Via};
use signpost_core::{Purpose, ReferenceCode, Slug};

/// No `state` of a portal is longer.
const MAX_PORTAL_STATE: usize = 512;

/// `GET /b/{slug}`: to the biller's sign-in, wherever that is at this moment.
pub(super) async fn biller(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
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
                lower.map_err(|_| unknown_biller(&state, &carried::luggage(language.locale, None, return_to)))?;
            let address = paths::with_whole_query(paths::biller(&lower), query.as_deref());
            return Ok(Redirect::permanent(&address).into_response());
        }
    };
    let journey = match fields.get("h") {
        Some(hint) => Journey::open(&state, &slug, hint).ok_or_else(|| changed_link(&slug))?,
        None => Journey {
            return_to,
            portal_state: fields.get("state").filter(|s| s.len() <= MAX_PORTAL_STATE).map(str::to_owned),
            ..Journey::default()
        },
    };
    // Whoever comes by a link of ours has clicked on it.
    if !fields.has("h") {
        let again = Journey { locale: Some(language.locale), ..journey.clone() };
        bounce::check(&state, &headers, &slug, &again.link(&state, &slug))?;
    }
    let remember = journey.remember && !is_from_elsewhere(&headers);
    let entry = Entry::Named { slug: slug.clone(), via: Via::VanityPath };
    let arrival = Arrival { entry, name: journey.name(), remembered: Vec::new() };
    let visitor = Visitor {
        language: language.or(journey.locale),
        return_to: journey.return_to,
        portal_state: journey.portal_state,
        restarts: journey.restarts,
        remember: false,
    };
    let mut response = decide_and_follow(&state, &headers, arrival, visitor).await?;
    if let Some(biller) = state.directory.last_known_billers().by_slug(&slug).filter(|_| remember) {
        cookies::add(response.headers_mut(), [Device::of(&state, &headers).remember(&state, biller)]);
    }
    Ok(response)
}

/// Another site must not make a device remember anything: the person would not have asked for it.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}

/// Sends the browser to the biller's issuer.
pub(super) async fn begin(
    state: &AppState,
    headers: &HeaderMap,
    arrival: &Arrival,
    biller: &Biller,
    visitor: Visitor,
    code: &ReferenceCode,
) -> Result<Response, Refusal> {
    let Some((registration, _)) = registrations::of(state, biller) else {
        return follow::outage(state, arrival, biller, visitor, code);
    };
    let mut attempt = Attempt::new(state, &biller.slug, &registration.issuer);
    let journey = Journey { attempt: attempt.id.clone(), ..follow::journey(arrival, visitor.clone(), code) };
    let hint = journey.name.clone();
    let oauth_state = state.keys.seal(Purpose::Flow, "", &Travelling { slug: biller.slug.clone(), journey });
    let secrets = secureauth::Attempt { nonce: &attempt.nonce, verifier: &attempt.verifier };
    let wanted =
        secureauth::Wanted { state: &oauth_state, login_hint: hint.as_deref(), locale: visitor.language.locale };
    let began = Instant::now();
    let asked = state.providers.authorization_url(&registration, secrets, wanted).await;
    if let Some(is_good) = was_called(&asked) {
        state.calls.took(&biller.slug, began.elapsed(), is_good);
    }
    let (address, provider) = match asked {
        Ok((address, provider, contact)) => {
            match contact {
                Contact::None => {}
                Contact::Answered => registrations::note_answer(state, biller, Call::Documents).await,
                Contact::Failed(error) => registrations::note_failure(state, biller, Call::Documents, &error).await,
            }
            (address, provider)
        }
        Err(error) => {
            registrations::note_failure(state, biller, Call::Documents, &error).await;
            return unreachable(state, arrival, biller, visitor, &error).await;
        }
    };
    state.returns.begun(&biller.slug);
    attempt.needs_iss = provider.sends_iss() || biller.pinned_iss.as_ref() == Some(&registration.issuer);
    let mut response = Redirect::to(address.as_str()).into_response();
    cookies::add(response.headers_mut(), attempt.cookies(state, headers));
    Ok(response)
}

/// Whether the issuer was asked anything, and did well.
fn was_called<T>(asked: &Result<(url::Url, T, Contact), ProviderError>) -> Option<bool> {
    match asked {
        Ok((_, _, Contact::None)) => None,
        Ok((_, _, Contact::Answered)) => Some(true),
        Ok((_, _, Contact::Failed(error))) | Err(error) => Some(!error.counts_against_issuer()),
    }
}

/// The issuer failed just now: what the biller's policy says for an outage.
async fn unreachable(
    state: &AppState,
    arrival: &Arrival,
    biller: &Biller,
    visitor: Visitor,
    error: &ProviderError,
) -> Result<Response, Refusal> {
    tracing::warn!(biller = %biller.slug, reason = error.reason(), "a sign-in could not begin");
    let down = Overrides { issuers: vec![(biller.slug.clone(), IssuerHealth::Down)], ..Overrides::default() };
    let routed = state.routing.simulate(arrival, &down).await;
    let code = &follow::record(state, arrival, &routed);
    if routed.verdict.decision == Decision::LegacyLogin {
        let slug = routed.verdict.biller.clone();
        let luggage = Luggage::new(code, visitor.language.locale, arrival.name.clone(), slug, visitor.return_to);
        return Ok(Redirect::to(&handoffs::legacy_login(state, &luggage)).into_response());
    }
    follow::outage(state, arrival, biller, visitor, code)
}

/// A browser that loads pages before they are asked for must not begin anything.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .any(|value| value.contains("prefetch"))
}

pub(super) fn unknown_biller(state: &AppState, carried: &RecoverToken) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "unknown_biller", "error-unknown-biller")
        .next("go-biller", carried::address(state, paths::RECOVER, carried))
        .next("go-sign-in-page", carried::address(state, paths::LOGIN, carried))
}

fn changed_link(slug: &Slug) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "changed_link", "error-changed-link")
        .about(slug.as_str())
        .next("go-on", paths::biller(slug))
}
