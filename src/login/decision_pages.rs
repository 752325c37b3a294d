//! The pages that decisions lead to.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::date_time::format_date_time;
use super::decision_record::chosen_biller;
use super::login_request::LoginRequest;
use super::page_context::PageContext;
use super::pages::{HoldPage, NoticePage, OutagePage, RecoverPage, RecoveryReason};
use super::{addresses, recover, show};
use crate::directory::{Biller, PasswordCarryOver};
use crate::handoffs::{self, FlowContext};
use crate::routing::{RoutingResult, biller_login_url};
use crate::web::{HttpError, cookies, paths};
use signpost_core::decision::{Decision, EntryPoint};

/// `Retry-After` of an outage or pause whose end is unknown.
const RETRY_AFTER_SECONDS: i64 = 60;

/// The page of a decision that does not redirect.
pub(super) fn page(pages: &PageContext, request: &LoginRequest, result: &RoutingResult) -> Result<Response, HttpError> {
    match (result.verdict.decision, chosen_biller(result)) {
        (Decision::BookmarkNotice, Some(biller)) => notice(pages, request, biller),
        (Decision::OutagePage, Some(biller)) => outage(pages, request, biller),
        (Decision::HoldPage, biller) => hold(pages, request, biller),
        // Also for a decision whose biller has been deleted since.
        _ => recovery(pages, request, result),
    }
}

fn notice(pages: &PageContext, request: &LoginRequest, biller: &Biller) -> Result<Response, HttpError> {
    let LoginRequest { language, flow, device, .. } = request;
    let page = NoticePage {
        chrome: show::chrome(pages, language, flow, Some(biller)),
        biller: biller.name.clone(),
        address: biller_login_url(&pages.config, biller),
        continue_url: request.sign_in_link(pages, &biller.slug),
        keeps_password: biller.settings.passwords == PasswordCarryOver::Imported,
        not_mine_url: handoffs::recover_url(&pages.config, &pages.keys, flow),
        is_short: device.has_seen_notice(),
    };
    let mut response = show::answer_page(pages, language, StatusCode::OK, &page)?;
    cookies::add(response.headers_mut(), device.count_notice(&pages.keys));
    Ok(response)
}

pub(super) fn outage(pages: &PageContext, request: &LoginRequest, biller: &Biller) -> Result<Response, HttpError> {
    let LoginRequest { language, flow, .. } = request;
    let mut chrome = show::chrome(pages, language, flow, Some(biller));
    let now = pages.clock.now();
    let maintenance = biller.maintenance_at(now);
    let page = OutagePage {
        biller: biller.name.clone(),
        retry_url: request.sign_in_link(pages, &biller.slug),
        until: maintenance.map(|window| format_date_time(chrome.i18n, window.until, window.utc_offset_minutes)),
        pay: chrome.contact.alternative_payment.take(),
        chrome,
    };
    let seconds = maintenance.map_or(RETRY_AFTER_SECONDS, |window| window.until.seconds() - now.seconds());
    Ok(retry_later(show::answer_page(pages, language, StatusCode::SERVICE_UNAVAILABLE, &page)?, seconds))
}

fn hold(pages: &PageContext, request: &LoginRequest, biller: Option<&Biller>) -> Result<Response, HttpError> {
    let LoginRequest { language, flow, .. } = request;
    let mut chrome = show::chrome(pages, language, flow, biller);
    let slug = match &request.routing.entry {
        EntryPoint::Named { slug, .. } => Some(slug),
        EntryPoint::Shared => biller.map(|biller| &biller.slug),
    };
    let page = HoldPage {
        pay: chrome.contact.alternative_payment.take(),
        chrome,
        biller: biller.map(|biller| biller.name.clone()),
        retry_url: match slug {
            Some(slug) => request.sign_in_link(pages, slug),
            None => addresses::page(&pages.keys, paths::LOGIN, flow),
        },
    };
    let response = show::answer_page(pages, language, StatusCode::SERVICE_UNAVAILABLE, &page)?;
    Ok(retry_later(response, RETRY_AFTER_SECONDS))
}

fn recovery(pages: &PageContext, request: &LoginRequest, result: &RoutingResult) -> Result<Response, HttpError> {
    let LoginRequest { language, flow, .. } = request;
    let (status, reason) = match request.routing.entry {
        EntryPoint::Shared => (StatusCode::OK, RecoveryReason::SeveralBillers),
        EntryPoint::Named { .. } => (StatusCode::NOT_FOUND, RecoveryReason::UnknownBiller),
    };
    let links = FlowContext { portal_state: None, restarts: 0, ..flow.clone() };
    let suggestions = result.verdict.suggested_billers.iter().filter_map(|slug| result.billers.by_slug(slug));
    let suggestions = suggestions.map(|biller| show::biller_link(&pages.keys, &links, biller)).collect();
    let mut page = RecoverPage { suggestions, ..recover::page(pages, language, flow, reason) };
    page.search.remember = flow.remember;
    show::lookup_page(pages, status, &page)
}

fn retry_later(mut response: Response, seconds: i64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
