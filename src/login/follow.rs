//! One `match` makes HTTP of a decision.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};

use super::date_time::format_date_time;
use super::flow::LoginFlow;
use super::pages::{HoldPage, NoticePage, OutagePage, RecoverPage, RecoveryReason};
use super::{flow_token, recover, redirect_loop, show, start};
use crate::audit::{LogEntry, Metric};
use crate::directory::{Biller, PasswordCarryOver};
use crate::routing::{RoutingRequest, RoutingResult, biller_login_url};
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::handoffs::{self, HandoffPayload};
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths};
use signpost_core::ReferenceCode;
use signpost_core::decision::{Decision, EntryPoint};
use signpost_core::reference::CodeKind;

/// Whoever meets a pause of unknown length may come again after so many seconds.
const RETRY_AFTER_SECONDS: i64 = 60;

/// What somebody brings along besides where they come from.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    /// The language they read.
    pub language: Language,
    /// A path of the portal.
    pub return_to: Option<String>,
    /// What the portal passed when it started the visit.
    pub portal_state: Option<String>,
    /// How often the flow was begun again by itself.
    pub restarts: u8,
    /// This device is to remember the biller that is chosen_biller.
    pub remember: bool,
}

impl RequestContext {
    /// Somebody who brings nothing but a language.
    pub(super) fn new(language: Language) -> Self {
        Self { language, return_to: None, portal_state: None, restarts: 0, remember: false }
    }
}

/// Decides, records, and goes there.
pub(super) async fn decide_and_follow(
    state: &AppState,
    headers: &HeaderMap,
    routing_request: RoutingRequest,
    context: RequestContext,
) -> Result<Response, HttpError> {
    let routing_result = state.routing.route(&routing_request).await;
    follow(state, headers, &routing_request, &routing_result, context).await
}

/// Records a decision and goes there.
pub(super) async fn follow(
    state: &AppState,
    headers: &HeaderMap,
    routing_request: &RoutingRequest,
    routing_result: &RoutingResult,
    context: RequestContext,
) -> Result<Response, HttpError> {
    let verdict = &routing_result.verdict;
    let code = record(state, routing_request, routing_result);
    match (verdict.decision, chosen_biller(routing_result)) {
        (Decision::SecureauthLogin, Some(biller)) => {
            start::begin(state, headers, routing_request, biller, context, &code).await
        }
        (Decision::LegacyLogin, _) => {
            let (locale, biller) = (context.language.locale, verdict.biller.clone());
            let payload = HandoffPayload::new(&code, locale, routing_request.name.clone(), biller, context.return_to);
            let mut response = Redirect::to(&handoffs::legacy_login_url(state, &payload)).into_response();
            // Whoever typed a name did something; an address alone may be where the legacy site sends people.
            if let EntryPoint::Named { slug, .. } = &routing_request.entry {
                cookies::add(
                    response.headers_mut(),
                    [redirect_loop::record(state, headers, slug, redirect_loop::Destination::Legacy)],
                );
            }
            Ok(response)
        }
        _ => page(state, headers, routing_request, routing_result, context, &code),
    }
}

/// The page that a decision shows, where it shows one.
pub(super) fn page(
    state: &AppState,
    headers: &HeaderMap,
    routing_request: &RoutingRequest,
    routing_result: &RoutingResult,
    context: RequestContext,
    code: &ReferenceCode,
) -> Result<Response, HttpError> {
    let biller = chosen_biller(routing_result);
    match (routing_result.verdict.decision, biller) {
        (Decision::BookmarkNotice, Some(biller)) => notice(state, headers, routing_request, biller, context, code),
        (Decision::OutagePage, Some(biller)) => outage(state, routing_request, biller, context, code),
        (Decision::HoldPage, biller) => hold(state, routing_request, biller, context, code),
        // A decision that names a biller which is not there any more ends here as well: find my biller.
        _ => recovery(state, routing_request, routing_result, context, code),
    }
}

/// The biller that was decided for, while there is one of that name.
pub(super) fn chosen_biller(routing_result: &RoutingResult) -> Option<&Biller> {
    let slug = routing_result.verdict.biller.as_ref()?;
    routing_result.billers.by_slug(slug).map(|biller| &**biller)
}

/// Records a decision. Addresses that name no biller of ours are not recorded: anyone can make them up by the thousand.
pub(super) fn record(
    state: &AppState,
    routing_request: &RoutingRequest,
    routing_result: &RoutingResult,
) -> ReferenceCode {
    let verdict = &routing_result.verdict;
    if matches!(routing_request.entry, EntryPoint::Named { .. }) && verdict.decision == Decision::Recovery {
        return state.decisions.page_code();
    }
    let response = match verdict.decision {
        Decision::BookmarkNotice => "bookmark notice",
        Decision::SecureauthLogin => "redirect to SecureAuth",
        Decision::LegacyLogin => "redirect to the legacy login",
        Decision::Recovery => "recovery page",
        Decision::OutagePage => "outage page",
        Decision::HoldPage => "hold page",
    };
    let metric = match (verdict.decision, &routing_request.entry) {
        // Whoever comes from the notice brings a name along.
        (Decision::SecureauthLogin, _) if routing_request.name.is_some() => Some(Metric::SharedEntrySignIn),
        (Decision::SecureauthLogin, _) => Some(Metric::BillerEntrySignIn),
        (Decision::BookmarkNotice, EntryPoint::Named { .. }) => Some(Metric::LegacyDeepLink),
        _ => None,
    };
    let entry = LogEntry {
        metric,
        biller: verdict.biller.as_ref().map(ToString::to_string),
        name: routing_request.name.clone(),
        response,
        details: routing_result.details(),
    };
    state.decisions.record(CodeKind::Row(verdict.row), entry)
}

fn notice(
    state: &AppState,
    headers: &HeaderMap,
    routing_request: &RoutingRequest,
    biller: &Biller,
    context: RequestContext,
    code: &ReferenceCode,
) -> Result<Response, HttpError> {
    let language = context.language.clone();
    let device = Device::from_headers(state, headers);
    let flow = login_flow(routing_request, context, code);
    let recover = flow_token::new(language.locale, routing_request.name.as_ref(), flow.return_to.clone());
    let page = NoticePage {
        chrome: show::chrome(state, &language, code.as_str(), Some(biller)),
        biller: biller.name.clone(),
        address: biller_login_url(&state.config, biller),
        continue_url: flow.link(state, &biller.slug),
        keeps_password: biller.settings.passwords == PasswordCarryOver::Imported,
        not_mine_url: handoffs::recover_url(state, &recover),
        is_short: device.has_seen_notice(),
    };
    let mut response = show::answer_page(state, &language, StatusCode::OK, &page)?;
    cookies::add(response.headers_mut(), device.count_notice(state));
    Ok(response)
}

/// The flow of an arrival, for links that lead on from a page.
pub(super) fn login_flow(routing_request: &RoutingRequest, context: RequestContext, code: &ReferenceCode) -> LoginFlow {
    LoginFlow {
        locale: Some(context.language.locale),
        name: routing_request.name.as_ref().map(|name| name.raw().to_owned()),
        return_to: context.return_to,
        portal_state: context.portal_state,
        code: code.to_string(),
        authorization_request_id: String::new(),
        restarts: context.restarts,
        remember: context.remember,
    }
}

pub(super) fn outage(
    state: &AppState,
    routing_request: &RoutingRequest,
    biller: &Biller,
    context: RequestContext,
    code: &ReferenceCode,
) -> Result<Response, HttpError> {
    let language = context.language.clone();
    let mut chrome = show::chrome(state, &language, code.as_str(), Some(biller));
    let now = state.clock.now();
    let announced = biller.maintenance.filter(|window| window.from <= now && now < window.until);
    let page = OutagePage {
        biller: biller.name.clone(),
        retry_url: login_flow(routing_request, context, code).link(state, &biller.slug),
        until: announced.map(|window| format_date_time(chrome.i18n, window.until, window.utc_offset_minutes)),
        pay: chrome.contact.alternative_payment.take(),
        chrome,
    };
    let seconds = announced.map_or(RETRY_AFTER_SECONDS, |window| window.until.seconds() - now.seconds());
    Ok(retry_later(show::answer_page(state, &language, StatusCode::SERVICE_UNAVAILABLE, &page)?, seconds))
}

fn hold(
    state: &AppState,
    routing_request: &RoutingRequest,
    biller: Option<&Biller>,
    context: RequestContext,
    code: &ReferenceCode,
) -> Result<Response, HttpError> {
    let language = context.language.clone();
    let mut chrome = show::chrome(state, &language, code.as_str(), biller);
    let named = match &routing_request.entry {
        EntryPoint::Named { slug, .. } => Some(slug),
        EntryPoint::Shared => biller.map(|biller| &biller.slug),
    };
    let flow_token = flow_token::new(language.locale, routing_request.name.as_ref(), context.return_to.clone());
    let flow = login_flow(routing_request, context, code);
    let page = HoldPage {
        pay: chrome.contact.alternative_payment.take(),
        chrome,
        biller: biller.map(|biller| biller.name.clone()),
        retry_url: match named {
            Some(slug) => flow.link(state, slug),
            None => flow_token::address(state, paths::LOGIN, &flow_token),
        },
    };
    Ok(retry_later(show::answer_page(state, &language, StatusCode::SERVICE_UNAVAILABLE, &page)?, RETRY_AFTER_SECONDS))
}

fn recovery(
    state: &AppState,
    routing_request: &RoutingRequest,
    routing_result: &RoutingResult,
    context: RequestContext,
    code: &ReferenceCode,
) -> Result<Response, HttpError> {
    let (status, reason) = match routing_request.entry {
        EntryPoint::Shared => (StatusCode::OK, RecoveryReason::SeveralBillers),
        EntryPoint::Named { .. } => (StatusCode::NOT_FOUND, RecoveryReason::UnknownBiller),
    };
    let token = flow_token::new(context.language.locale, routing_request.name.as_ref(), context.return_to);
    let remember = context.remember;
    let flow = LoginFlow { remember, ..recover::login_flow(&context.language, code, &token) };
    let suggestions =
        routing_result.verdict.suggested_billers.iter().filter_map(|slug| routing_result.billers.by_slug(slug));
    let suggestions = suggestions.map(|biller| recover::biller_link(state, &flow, biller)).collect();
    let mut page = RecoverPage { suggestions, ..recover::page(state, &context.language, code, token, reason) };
    page.search.remember = remember;
    show::lookup_page(state, status, &page)
}

fn retry_later(mut response: Response, seconds: i64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
