//! One `match` makes HTTP of a decision.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};

use super::day::day_and_time;
use super::flow::Journey;
use super::pages::{HoldPage, NoticePage, OutagePage, RecoverPage, RecoverWhy};
use super::{bounce, carried, recover, show, start};
use crate::audit::{Entry as LogEntry, Score};
use crate::directory::{Biller, PasswordCarryOver};
use crate::routing::{Arrival, Routed, stable_address};
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::handoffs::{self, Luggage};
use crate::web::language::Language;
use crate::web::{Refusal, cookies, paths};
use signpost_core::ReferenceCode;
use signpost_core::decision::{Decision, Entry};
use signpost_core::reference::Kind;

/// Whoever meets a pause of unknown length may come again after so many seconds.
const RETRY_SECONDS: i64 = 60;

/// What somebody brings along besides where they come from.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// The language they read.
    pub language: Language,
    /// A path of the portal.
    pub return_to: Option<String>,
    /// What the portal passed when it started the visit.
    pub portal_state: Option<String>,
    /// How often the journey was begun again by itself.
    pub restarts: u8,
    /// This device is to remember the biller that is chosen.
    pub remember: bool,
}

impl Visitor {
    /// Somebody who brings nothing but a language.
    pub fn new(language: Language) -> Self {
        Self { language, return_to: None, portal_state: None, restarts: 0, remember: false }
    }
}

/// Decides, records, and goes there.
pub(super) async fn decide_and_follow(
    state: &AppState,
    headers: &HeaderMap,
    arrival: Arrival,
    visitor: Visitor,
) -> Result<Response, Refusal> {
    let routed = state.routing.route(&arrival).await;
    follow(state, headers, &arrival, &routed, visitor).await
}

/// Records a decision and goes there.
pub(super) async fn follow(
    state: &AppState,
    headers: &HeaderMap,
    arrival: &Arrival,
    routed: &Routed,
    visitor: Visitor,
) -> Result<Response, Refusal> {
    let verdict = &routed.verdict;
    let code = record(state, arrival, routed);
    match (verdict.decision, chosen(routed)) {
        (Decision::SecureauthLogin, Some(biller)) => {
            start::begin(state, headers, arrival, biller, visitor, &code).await
        }
        (Decision::LegacyLogin, _) => {
            let (locale, biller) = (visitor.language.locale, verdict.biller.clone());
            let luggage = Luggage::new(&code, locale, arrival.name.clone(), biller, visitor.return_to);
            let mut response = Redirect::to(&handoffs::legacy_login(state, &luggage)).into_response();
            // Whoever typed a name did something; an address alone may be where the legacy site sends people.
            if let Entry::Named { slug, .. } = &arrival.entry {
                cookies::add(response.headers_mut(), [bounce::count(state, headers, slug, bounce::To::Legacy)]);
            }
            Ok(response)
        }
        _ => page(state, headers, arrival, routed, visitor, &code),
    }
}

/// The page that a decision shows, where it shows one.
pub(super) fn page(
    state: &AppState,
    headers: &HeaderMap,
    arrival: &Arrival,
    routed: &Routed,
    visitor: Visitor,
    code: &ReferenceCode,
) -> Result<Response, Refusal> {
    let biller = chosen(routed);
    match (routed.verdict.decision, biller) {
        (Decision::BookmarkNotice, Some(biller)) => notice(state, headers, arrival, biller, visitor, code),
        (Decision::OutagePage, Some(biller)) => outage(state, arrival, biller, visitor, code),
        (Decision::HoldPage, biller) => hold(state, arrival, biller, visitor, code),
        // A decision that names a biller which is not there any more ends here as well: find my biller.
        _ => recovery(state, arrival, routed, visitor, code),
    }
}

/// The biller that was decided for, while there is one of that name.
pub(super) fn chosen(routed: &Routed) -> Option<&Biller> {
    let slug = routed.verdict.biller.as_ref()?;
    routed.billers.by_slug(slug).map(|biller| &**biller)
}

/// Records a decision. Addresses that name no biller of ours are not recorded: anyone can make them up by the thousand.
pub(super) fn record(state: &AppState, arrival: &Arrival, routed: &Routed) -> ReferenceCode {
    let verdict = &routed.verdict;
    if matches!(arrival.entry, Entry::Named { .. }) && verdict.decision == Decision::Recovery {
        return state.decisions.page_code();
    }
    let shown = match verdict.decision {
        Decision::BookmarkNotice => "bookmark notice",
        Decision::SecureauthLogin => "redirect to SecureAuth",
        Decision::LegacyLogin => "redirect to the legacy login",
        Decision::Recovery => "recovery page",
        Decision::OutagePage => "outage page",
        Decision::HoldPage => "hold page",
    };
    let score = match (verdict.decision, &arrival.entry) {
        // Whoever comes from the notice brings a name along.
        (Decision::SecureauthLogin, _) if arrival.name.is_some() => Some(Score::FromShared),
        (Decision::SecureauthLogin, _) => Some(Score::FromOwn),
        (Decision::BookmarkNotice, Entry::Named { .. }) => Some(Score::OldAddress),
        _ => None,
    };
    let entry = LogEntry {
        score,
        biller: verdict.biller.as_ref().map(ToString::to_string),
        name: arrival.name.clone(),
        shown,
        details: routed.details(),
    };
    state.decisions.record(Kind::Row(verdict.row), entry)
}

fn notice(
    state: &AppState,
    headers: &HeaderMap,
    arrival: &Arrival,
    biller: &Biller,
    visitor: Visitor,
    code: &ReferenceCode,
) -> Result<Response, Refusal> {
    let language = visitor.language.clone();
    let device = Device::of(state, headers);
    let journey = journey(arrival, visitor, code);
    let recover = carried::luggage(language.locale, arrival.name.as_ref(), journey.return_to.clone());
    let page = NoticePage {
        chrome: show::chrome(state, &language, code.as_str(), Some(biller)),
        biller: biller.name.clone(),
        address: stable_address(&state.config, biller),
        continue_url: journey.link(state, &biller.slug),
        password_carried: biller.settings.passwords == PasswordCarryOver::Imported,
        not_mine_url: handoffs::recover_url(state, &recover),
        is_short: device.knows_the_notice(),
    };
    let mut response = show::answer_page(state, &language, StatusCode::OK, &page)?;
    cookies::add(response.headers_mut(), device.count_notice(state));
    Ok(response)
}

/// The journey of an arrival, for links that lead on from a page.
pub(super) fn journey(arrival: &Arrival, visitor: Visitor, code: &ReferenceCode) -> Journey {
    Journey {
        locale: Some(visitor.language.locale),
        name: arrival.name.as_ref().map(|name| name.typed().to_owned()),
        return_to: visitor.return_to,
        portal_state: visitor.portal_state,
        code: code.to_string(),
        attempt: String::new(),
        restarts: visitor.restarts,
        remember: visitor.remember,
    }
}

pub(super) fn outage(
    state: &AppState,
    arrival: &Arrival,
    biller: &Biller,
    visitor: Visitor,
    code: &ReferenceCode,
) -> Result<Response, Refusal> {
    let language = visitor.language.clone();
    let mut chrome = show::chrome(state, &language, code.as_str(), Some(biller));
    let now = state.clock.now();
    let announced = biller.settings.maintenance.filter(|window| window.from <= now && now < window.until);
    let page = OutagePage {
        biller: biller.name.clone(),
        retry_url: journey(arrival, visitor, code).link(state, &biller.slug),
        until: announced.map(|window| day_and_time(chrome.words, window.until, window.utc_offset_minutes)),
        pay: chrome.contact.other_way_to_pay.take(),
        chrome,
    };
    let seconds = announced.map_or(RETRY_SECONDS, |window| window.until.seconds() - now.seconds());
    Ok(retry_later(show::answer_page(state, &language, StatusCode::SERVICE_UNAVAILABLE, &page)?, seconds))
}

fn hold(
    state: &AppState,
    arrival: &Arrival,
    biller: Option<&Biller>,
    visitor: Visitor,
    code: &ReferenceCode,
) -> Result<Response, Refusal> {
    let language = visitor.language.clone();
    let mut chrome = show::chrome(state, &language, code.as_str(), biller);
    let named = match &arrival.entry {
        Entry::Named { slug, .. } => Some(slug),
        Entry::Shared => biller.map(|biller| &biller.slug),
    };
    let carried = carried::luggage(language.locale, arrival.name.as_ref(), visitor.return_to.clone());
    let journey = journey(arrival, visitor, code);
    let page = HoldPage {
        pay: chrome.contact.other_way_to_pay.take(),
        chrome,
        biller: biller.map(|biller| biller.name.clone()),
        retry_url: match named {
            Some(slug) => journey.link(state, slug),
            None => carried::address(state, paths::LOGIN, &carried),
        },
    };
    Ok(retry_later(show::answer_page(state, &language, StatusCode::SERVICE_UNAVAILABLE, &page)?, RETRY_SECONDS))
}

fn recovery(
    state: &AppState,
    arrival: &Arrival,
    routed: &Routed,
    visitor: Visitor,
    code: &ReferenceCode,
) -> Result<Response, Refusal> {
    let (status, why) = match arrival.entry {
        Entry::Shared => (StatusCode::OK, RecoverWhy::SeveralBillers),
        Entry::Named { .. } => (StatusCode::NOT_FOUND, RecoverWhy::UnknownBiller),
    };
    let token = carried::luggage(visitor.language.locale, arrival.name.as_ref(), visitor.return_to);
    let remember = visitor.remember;
    let journey = Journey { remember, ..recover::journey(&visitor.language, code, &token) };
    let offered = routed.verdict.offered.iter().filter_map(|slug| routed.billers.by_slug(slug));
    let offered = offered.map(|biller| recover::door(state, &journey, biller)).collect();
    let mut page = RecoverPage { offered, ..recover::page(state, &visitor.language, code, token, why) };
    page.search.remember = remember;
    show::look_up_page(state, status, &page)
}

fn retry_later(mut response: Response, seconds: i64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
