//! The ways back in: recovery and help, the same for everybody, known or not.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;

use super::pages::{HelpPage, RecoverPage, RecoverWhy};
use super::{links, reset, show};
use crate::kernel::Slug;
use crate::state::AppState;
use crate::web::Refusal;
use crate::web::fields::Fields;
use crate::web::language::Language;

/// `GET /recover`, with `?t=` from a system that could not let the person in.
pub(super) async fn recover(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let token = reset::token_of(&state, query).unwrap_or_default();
    let language = language.or(token.locale);
    let why = if token.failed { RecoverWhy::LegacyFailed } else { RecoverWhy::Asked };
    let reset_url = reset::address(&state, language.locale, token.name.as_deref());
    let links_url = links::address(&state, language.locale, token.name.as_deref());
    let page = RecoverPage {
        chrome: show::chrome(&state, &language, state.decisions.page_code().as_str(), None),
        username: token.name,
        return_to: token.return_to,
        why,
        offered: Vec::new(),
        reset_url,
        links_url,
    };
    show::look_up_page(&state, StatusCode::OK, &page)
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
    let links_url = links::address(&state, language.locale, None);
    show::page(StatusCode::OK, &HelpPage { chrome, company: show::company(&state), links_url })
}
