//! The ways back in: recovery and help, the same for everybody, known or not.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use http::StatusCode;

use super::flow::Journey;
use super::lookup::kept;
use super::pages::{Chrome, HelpPage, Link, RecoverPage, RecoverWhy, Search};
use super::{carried, links, reset, show};
use crate::directory::Biller;
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::fields::Fields;
use crate::web::handoffs::RecoverToken;
use crate::web::language::Language;
use crate::web::{Refusal, paths};
use crate::words::Words;
use signpost_core::{Purpose, ReferenceCode, Slug};

/// `GET /recover`, with `?t=` from whoever could not let the person in, and `?q=` to search for a biller by its name.
pub(super) async fn recover(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.as_deref().unwrap_or_default().as_bytes()).unwrap_or_default();
    let token = carried::open(&state, query.as_deref()).unwrap_or_default();
    let language = language.or(token.locale);
    let why = if token.failed { RecoverWhy::LegacyFailed } else { RecoverWhy::Asked };
    let code = state.decisions.page_code();
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    let remember = fields.has("remember");
    let journey = Journey { remember, ..journey(&language, &code, &token) };
    let remembered = Device::of(&state, &headers).billers(&billers);
    let mut page = page(&state, &language, &code, token, why);
    page.offered = remembered.iter().map(|biller| door(&state, &journey, biller)).collect();
    page.search.remember = remember;
    match fields.get("q").map(|text| kept(text.trim())) {
        None => {}
        Some(text) if text.is_empty() => {
            page.search.error = Some(Words::of(language.locale).say("recover-search-empty"));
        }
        Some(text) => {
            page.search.found = billers.search(&text).iter().map(|biller| door(&state, &journey, biller)).collect();
            page.why = if page.search.found.is_empty() { RecoverWhy::NothingFound } else { RecoverWhy::Found };
            page.search.text = text;
        }
    }
    show::look_up_page(&state, StatusCode::OK, &page)
}

/// The page, for whoever is known as far as the token says.
pub(super) fn page(
    state: &AppState,
    language: &Language,
    code: &ReferenceCode,
    token: RecoverToken,
    why: RecoverWhy,
) -> RecoverPage {
    let carried = RecoverToken { locale: Some(language.locale), ..token.clone() };
    RecoverPage {
        chrome: show::chrome(state, language, code.as_str(), None),
        why,
        offered: Vec::new(),
        reset_url: carried::address(state, paths::RESET, &carried),
        links_url: links::address(state, &carried),
        search: Search { token: state.keys.seal(Purpose::Recover, "", &token), ..Search::default() },
        username: token.name,
        return_to: token.return_to,
    }
}

/// What goes on with somebody who chooses a biller.
pub(super) fn journey(language: &Language, code: &ReferenceCode, token: &RecoverToken) -> Journey {
    Journey {
        locale: Some(language.locale),
        name: token.name.clone(),
        return_to: token.return_to.clone(),
        code: code.to_string(),
        ..Journey::default()
    }
}

/// The way on to a biller's sign-in.
pub(super) fn door(state: &AppState, journey: &Journey, biller: &Biller) -> Link {
    Link { label: biller.name.clone(), url: journey.link(state, &biller.slug) }
}

/// `GET /help`, for a biller with `?biller=`.
pub(super) async fn help(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let carried = carried::open(&state, query.as_deref()).unwrap_or_default();
    let language = language.or(carried.locale);
    let carried = RecoverToken { locale: Some(language.locale), ..carried };
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    let slug = fields.get("biller").and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    let chrome = show::chrome(&state, &language, state.decisions.page_code().as_str(), biller.as_deref());
    let page = HelpPage {
        // There is no more help than this.
        chrome: Chrome { help_url: String::new(), ..chrome },
        company: show::company(&state, language.locale),
        links_url: links::address(&state, &carried),
        recover_url: carried::address(&state, paths::RECOVER, &carried),
        reset_url: match &biller {
            Some(biller) => carried::address(&state, &paths::biller_reset(&biller.slug), &carried),
            None => carried::address(&state, paths::RESET, &carried),
        },
        back_url: match &biller {
            Some(biller) => reset::sign_in(biller, carried.return_to.as_deref()),
            None => carried::address(&state, paths::LOGIN, &carried),
        },
    };
    show::page(StatusCode::OK, &page)
}
