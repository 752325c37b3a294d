//! "Email me my username and sign-in links", also for those who forgot their username: `/recover/links`. The answer is the same for
//! everybody; a worker finds out later who it is.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use http::StatusCode;

use super::lookup::{check_limits, check_mail_limits, kept, read_form, sentence};
use super::pages::{LinksPage, LinksSentPage};
use super::{carried, show};
use crate::state::AppState;
use crate::web::client::Peer;
use crate::web::handoffs::RecoverToken;
use crate::web::language::Language;
use crate::web::{Refusal, paths};
use crate::words::Words;
use signpost_core::TypedName;
use signpost_core::username::UsernameError;

/// The address of the page, with what was typed already; none where no mail can be sent.
pub(super) fn address(state: &AppState, carried: &RecoverToken) -> Option<String> {
    state.mail.is_on().then(|| carried::address(state, paths::LINKS, carried))
}

/// `GET /recover/links`, with `?t=` from a page that knows the name.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    check_on(&state)?;
    let carried = carried::open(&state, query.as_deref()).unwrap_or_default();
    let language = language.or(carried.locale);
    show::form_page(StatusCode::OK, &page(&state, &language, carried), Vec::new())
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
    let language = language.of_form(paths::LINKS, &fields, &["username", "return_to"]);
    let return_to = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked));
    let typed = fields.get("username").unwrap_or_default();
    let name = match TypedName::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let error = match error {
                UsernameError::Empty => Words::of(language.locale).say("links-empty"),
                other => sentence(&language, other),
            };
            let carried = RecoverToken { name: Some(kept(typed)), return_to, ..RecoverToken::default() };
            let page = LinksPage { error: Some(error), ..page(&state, &language, carried) };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    let carried = carried::luggage(language.locale, Some(&name), return_to);
    let limited = check_limits(&state, peer, &headers, &name).and_then(|()| check_mail_limits(&state, peer, &headers));
    let failed = |refusal: Refusal| {
        refusal.next("go-again", carried::padded_address(&state, paths::LINKS, &carried)).read_in(language.locale)
    };
    limited.map_err(failed)?;
    state.mail.ask_for_links(&name, language.locale).await.map_err(|error| failed(error.into()))?;
    // Not the name: another one may be what comes next, and the page is one for all.
    let carried = RecoverToken { name: None, ..carried };
    sent_page(&state, language, &carried)
}

/// `GET /recover/links/sent`: the same page again, in another language. Nothing is sent anew.
pub(super) async fn sent(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    check_on(&state)?;
    let carried = carried::open(&state, query.as_deref()).unwrap_or_default();
    sent_page(&state, language, &carried)
}

fn sent_page(state: &AppState, language: Language, carried: &RecoverToken) -> Result<Response, Refusal> {
    let to = |path| carried::address(state, path, carried);
    let language = language.at(to(paths::LINKS_SENT));
    let chrome = show::chrome(state, &language, state.decisions.page_code().as_str(), None);
    show::page(StatusCode::OK, &LinksSentPage { chrome, again_url: to(paths::LINKS), back_url: to(paths::LOGIN) })
}

fn check_on(state: &AppState) -> Result<(), Refusal> {
    if state.mail.is_on() { Ok(()) } else { Err(Refusal::from_status(StatusCode::NOT_FOUND)) }
}

fn page(state: &AppState, language: &Language, carried: RecoverToken) -> LinksPage {
    let carried = RecoverToken { locale: Some(language.locale), ..carried };
    LinksPage {
        chrome: show::chrome(state, language, state.decisions.page_code().as_str(), None),
        error: None,
        back_url: carried::address(state, paths::LOGIN, &carried),
        username: carried.name.unwrap_or_default(),
        return_to: carried.return_to,
    }
}
