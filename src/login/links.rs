//! "Email me my sign-in links", also for those who forgot their username: `/recover/links`. The answer is the same for
//! everybody; a worker finds out later who it is.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use http::StatusCode;

use super::lookup::{check_limits, check_mail_limits, kept, read_form, sentence};
use super::pages::{LinksPage, LinksSentPage};
use super::{reset, show};
use crate::kernel::username::UsernameError;
use crate::kernel::{Locale, TypedName};
use crate::state::AppState;
use crate::web::client::Peer;
use crate::web::language::Language;
use crate::web::{Refusal, paths};
use crate::words::Words;

/// The address of the page, with the name already typed; none where no mail can be sent.
pub(super) fn address(state: &AppState, locale: Locale, name: Option<&str>) -> Option<String> {
    state.mail.is_on().then(|| reset::with_name(state, paths::LINKS, locale, name))
}

/// `GET /recover/links`, with `?t=` from a page that knows the name.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    check_on(&state)?;
    let token = reset::token_of(&state, query).unwrap_or_default();
    let language = language.or(token.locale);
    let username = token.name.unwrap_or_default();
    show::form_page(StatusCode::OK, &LinksPage { username, ..page(&state, &language) }, Vec::new())
}

/// `POST /recover/links`
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    check_on(&state)?;
    let fields = read_form(&headers, &body)?;
    let language = language.of_form(paths::LINKS, &fields, &["username"]);
    let typed = fields.get("username").unwrap_or_default();
    let name = match TypedName::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let error = match error {
                UsernameError::Empty => Words::of(language.locale).say("links-empty"),
                other => sentence(&language, other),
            };
            let page = LinksPage { username: kept(typed), error: Some(error), ..page(&state, &language) };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    check_limits(&state, peer, &headers, &name)?;
    check_mail_limits(&state, peer, &headers)?;
    state.mail.ask_for_links(&name, language.locale).await?;
    sent_page(&state, &language.at(paths::LINKS_SENT.to_owned()))
}

/// `GET /recover/links/sent`: the same page again, in another language. Nothing is sent anew.
pub(super) async fn sent(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
) -> Result<Response, Refusal> {
    check_on(&state)?;
    sent_page(&state, &language)
}

fn sent_page(state: &AppState, language: &Language) -> Result<Response, Refusal> {
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), None);
    show::page(StatusCode::OK, &LinksSentPage { chrome })
}

fn check_on(state: &AppState) -> Result<(), Refusal> {
    if state.mail.is_on() { Ok(()) } else { Err(Refusal::from_status(StatusCode::NOT_FOUND)) }
}

fn page(state: &AppState, language: &Language) -> LinksPage {
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), None);
    LinksPage { chrome, username: String::new(), error: None }
}
