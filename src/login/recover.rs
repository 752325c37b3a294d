//! The ways back in: recovery and help, the same for everybody, known or not.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use http::StatusCode;

use super::flow::LoginFlow;
use super::lookup::sanitize;
use super::pages::{Chrome, HelpPage, Link, RecoverPage, RecoveryReason, Search};
use super::{flow_token, links, reset, show};
use crate::directory::Biller;
use crate::i18n::Translator;
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::fields::Fields;
use crate::web::handoffs::FlowToken;
use crate::web::language::Language;
use crate::web::{HttpError, paths};
use signpost_core::{Purpose, ReferenceCode, Slug};

/// `GET /recover`, with `?t=` from whoever could not let the person in, and `?q=` to search for a biller by its name.
pub(super) async fn recover(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let fields = Fields::parse(query.as_deref().unwrap_or_default().as_bytes()).unwrap_or_default();
    let token = flow_token::open(&state, query.as_deref()).unwrap_or_default();
    let language = language.or(token.locale);
    let reason = if token.failed { RecoveryReason::LegacyFailed } else { RecoveryReason::Requested };
    let code = state.decisions.page_code();
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    let remember = fields.has("remember");
    let flow = LoginFlow { remember, ..login_flow(&language, &code, &token) };
    let remembered = Device::from_headers(&state, &headers).billers(&billers);
    let mut page = page(&state, &language, &code, token, reason);
    page.suggestions = remembered.iter().map(|biller| biller_link(&state, &flow, biller)).collect();
    page.search.remember = remember;
    match fields.get("q").map(|text| sanitize(text.trim())) {
        None => {}
        Some(text) if text.is_empty() => {
            page.search.error = Some(Translator::new(language.locale).t("recover-search-empty"));
        }
        Some(text) => {
            page.search.results =
                billers.search(&text).iter().map(|biller| biller_link(&state, &flow, biller)).collect();
            page.reason = if page.search.results.is_empty() {
                RecoveryReason::NoSearchResults
            } else {
                RecoveryReason::SearchResults
            };
            page.search.text = text;
        }
    }
    show::lookup_page(&state, StatusCode::OK, &page)
}

/// The page, for whoever is known as far as the token says.
pub(super) fn page(
    state: &AppState,
    language: &Language,
    code: &ReferenceCode,
    token: FlowToken,
    reason: RecoveryReason,
) -> RecoverPage {
    let flow_token = FlowToken { locale: Some(language.locale), ..token.clone() };
    RecoverPage {
        chrome: show::chrome(state, language, code.as_str(), None),
        reason,
        suggestions: Vec::new(),
        reset_url: flow_token::address(state, paths::RESET, &flow_token),
        links_url: links::address(state, &flow_token),
        search: Search { token: state.keys.seal(Purpose::Recovery, "", &token), ..Search::default() },
        username: token.name,
        return_to: token.return_to,
    }
}

/// What goes on with somebody who chooses a biller.
pub(super) fn login_flow(language: &Language, code: &ReferenceCode, token: &FlowToken) -> LoginFlow {
    LoginFlow {
        locale: Some(language.locale),
        name: token.name.clone(),
        return_to: token.return_to.clone(),
        code: code.to_string(),
        ..LoginFlow::default()
    }
}

/// The way on to a biller's sign-in.
pub(super) fn biller_link(state: &AppState, flow: &LoginFlow, biller: &Biller) -> Link {
    Link { label: biller.name.clone(), url: flow.link(state, &biller.slug) }
}

/// `GET /help`, for a biller with `?biller=`.
pub(super) async fn help(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    let flow_token = flow_token::open(&state, query.as_deref()).unwrap_or_default();
    let language = language.or(flow_token.locale);
    let flow_token = FlowToken { locale: Some(language.locale), ..flow_token };
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    let slug = fields.get("biller").and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    let chrome = show::chrome(&state, &language, state.decisions.page_code().as_str(), biller.as_deref());
    let page = HelpPage {
        // There is no more help than this.
        chrome: Chrome { help_url: String::new(), ..chrome },
        company: show::company(&state, language.locale),
        links_url: links::address(&state, &flow_token),
        recover_url: flow_token::address(&state, paths::RECOVER, &flow_token),
        reset_url: match &biller {
            Some(biller) => flow_token::address(&state, &paths::biller_reset(&biller.slug), &flow_token),
            None => flow_token::address(&state, paths::RESET, &flow_token),
        },
        back_url: match &biller {
            Some(biller) => reset::sign_in_url(biller, flow_token.return_to.as_deref()),
            None => flow_token::address(&state, paths::LOGIN, &flow_token),
        },
    };
    show::page(StatusCode::OK, &page)
}
