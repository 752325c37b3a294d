//! The ways back in: recovery, password reset, help. First, plain versions; the same for everybody, known or not.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::lookup::{check_limits, kept, read_form, sentence};
use super::pages::{HelpPage, RecoverPage, RecoverWhy, ResetPage, ResetSentPage};
use super::show;
use crate::kernel::{Purpose, Slug, TypedName};
use crate::state::AppState;
use crate::web::client::Peer;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, Luggage, RecoverToken};
use crate::web::language::Language;
use crate::web::{Refusal, paths};

/// Room for the longest username, so that the page about it has one length for all.
const PADDED: usize = 640;

/// `GET /recover`, with `?t=` from a system that could not let the person in.
pub(super) async fn recover(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let token = fields.get("t").and_then(|t| state.keys.open::<RecoverToken>(Purpose::Recover, "", t).ok());
    let token = token.unwrap_or_default();
    let language = language.or(token.locale);
    let why = if token.failed { RecoverWhy::LegacyFailed } else { RecoverWhy::Asked };
    let reset_url = reset_address(&state, token.name.as_deref());
    let page = RecoverPage {
        chrome: show::chrome(&state, &language, state.decisions.page_code().as_str(), None),
        username: token.name,
        return_to: token.return_to,
        why,
        offered: Vec::new(),
        reset_url,
    };
    show::look_up_page(&state, StatusCode::OK, &page)
}

/// The address of the reset page, with the name already typed.
pub(super) fn reset_address(state: &AppState, name: Option<&str>) -> String {
    let Some(name) = name else { return paths::RESET.to_owned() };
    let token = RecoverToken { name: Some(name.to_owned()), ..RecoverToken::default() };
    paths::with_query(paths::RESET, "t", &state.keys.seal(Purpose::Recover, "", &token))
}

/// `GET /reset`, with `?t=` from a page that knows the name.
pub(super) async fn reset_form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let token = fields.get("t").and_then(|t| state.keys.open::<RecoverToken>(Purpose::Recover, "", t).ok());
    let username = token.and_then(|token| token.name).unwrap_or_default();
    show::form_page(StatusCode::OK, &ResetPage { username, ..reset_page(&state, &language) }, Vec::new())
}

/// `POST /reset`: one page for every name, with a hand-off to the legacy reset.
pub(super) async fn reset_submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let fields = read_form(&headers, &body)?;
    let language = language.of_form(paths::RESET, &fields, &["username"]);
    let typed = fields.get("username").unwrap_or_default();
    let name = match TypedName::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let page = ResetPage {
                username: kept(typed),
                error: Some(sentence(&language, error)),
                ..reset_page(&state, &language)
            };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    check_limits(&state, peer, &headers, &name)?;
    sent_page(&state, language, name)
}

/// `GET /reset/sent`: the same page again, in another language or after a reload. Nothing is done anew.
pub(super) async fn reset_sent(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let token = fields.get("t").and_then(|t| state.keys.open::<RecoverToken>(Purpose::Recover, "", t).ok());
    match token.and_then(|token| TypedName::parse(token.name.as_deref()?).ok()) {
        Some(name) => sent_page(&state, language, name),
        None => Ok(Redirect::to(paths::RESET).into_response()),
    }
}

fn sent_page(state: &AppState, language: Language, name: TypedName) -> Result<Response, Refusal> {
    let token =
        RecoverToken { locale: Some(language.locale), name: Some(name.typed().to_owned()), ..RecoverToken::default() };
    let token = state.keys.seal_padded(Purpose::Recover, "", &token, PADDED);
    let language = language.at(paths::with_query(paths::RESET_SENT, "t", &token));
    let code = state.decisions.page_code();
    let legacy_reset_url = handoffs::legacy_reset(state, &Luggage::new(&code, language.locale, Some(name), None, None));
    let page = ResetSentPage { chrome: show::chrome(state, &language, code.as_str(), None), legacy_reset_url };
    show::page(StatusCode::OK, &page)
}

fn reset_page(state: &AppState, language: &Language) -> ResetPage {
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), None);
    ResetPage { chrome, username: String::new(), error: None }
}

/// `GET /help`, for a biller with `?biller=`.
pub(super) async fn help(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    let slug = fields.get("biller").and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    let chrome = show::chrome(&state, &language, state.decisions.page_code().as_str(), biller.as_deref());
    show::page(StatusCode::OK, &HelpPage { chrome, company: show::company(&state) })
}
