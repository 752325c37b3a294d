//! "Email me my username and sign-in links", also for those who forgot their username: `/recover/links`. The answer is the same for
//! everybody; a worker finds out later who it is.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use http::StatusCode;

use super::lookup::{check_lookup_rate_limit, check_mail_rate_limit, read_form, sanitize, username_error};
use super::pages::{LinksPage, LinksSentPage};
use super::{flow_token, show};
use crate::i18n::Translator;
use crate::state::AppState;
use crate::web::client::Peer;
use crate::web::handoffs::FlowToken;
use crate::web::language::Language;
use crate::web::{HttpError, paths};
use signpost_core::UsernameInput;
use signpost_core::username::UsernameError;

/// The address of the page, with what was typed already; none where no mail can be sent.
pub(super) fn address(state: &AppState, flow_token: &FlowToken) -> Option<String> {
    state.mail.is_enabled().then(|| flow_token::address(state, paths::LINKS, flow_token))
}

/// `GET /recover/links`, with `?t=` from a page that knows the name.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    require_mail(&state)?;
    let flow_token = flow_token::open(&state, query.as_deref()).unwrap_or_default();
    let language = language.or(flow_token.locale);
    show::form_page(StatusCode::OK, &page(&state, &language, flow_token), Vec::new())
}

/// `POST /recover/links`
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    require_mail(&state)?;
    let fields = read_form(&headers, &body)?;
    let language = language.for_form(paths::LINKS, &fields, &["username", "return_to"]);
    let return_to = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked));
    let typed = fields.get("username").unwrap_or_default();
    let name = match UsernameInput::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let error = match error {
                UsernameError::Empty => Translator::new(language.locale).t("links-empty"),
                other => username_error(&language, other),
            };
            let flow_token = FlowToken { name: Some(sanitize(typed)), return_to, ..FlowToken::default() };
            let page = LinksPage { error: Some(error), ..page(&state, &language, flow_token) };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    let flow_token = flow_token::new(language.locale, Some(&name), return_to);
    let limited = check_lookup_rate_limit(&state, peer, &headers, &name)
        .and_then(|()| check_mail_rate_limit(&state, peer, &headers));
    let failed = |error: HttpError| {
        error
            .with_link("action-try-again", flow_token::padded_address(&state, paths::LINKS, &flow_token))
            .in_locale(language.locale)
    };
    limited.map_err(failed)?;
    state.mail.enqueue_sign_in_links(&name, language.locale).await.map_err(|error| failed(error.into()))?;
    // Not the name: another one may be what comes next, and the page is one for all.
    let flow_token = FlowToken { name: None, ..flow_token };
    sent_page(&state, language, &flow_token)
}

/// `GET /recover/links/sent`: the same page again, in another language. Nothing is sent anew.
pub(super) async fn sent(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    require_mail(&state)?;
    let flow_token = flow_token::open(&state, query.as_deref()).unwrap_or_default();
    sent_page(&state, language, &flow_token)
}

fn sent_page(state: &AppState, language: Language, flow_token: &FlowToken) -> Result<Response, HttpError> {
    let to = |path| flow_token::address(state, path, flow_token);
    let language = language.at(to(paths::LINKS_SENT));
    let chrome = show::chrome(state, &language, state.decisions.page_code().as_str(), None);
    show::page(StatusCode::OK, &LinksSentPage { chrome, again_url: to(paths::LINKS), back_url: to(paths::LOGIN) })
}

fn require_mail(state: &AppState) -> Result<(), HttpError> {
    if state.mail.is_enabled() { Ok(()) } else { Err(HttpError::from_status(StatusCode::NOT_FOUND)) }
}

fn page(state: &AppState, language: &Language, flow_token: FlowToken) -> LinksPage {
    let flow_token = FlowToken { locale: Some(language.locale), ..flow_token };
    LinksPage {
        chrome: show::chrome(state, language, state.decisions.page_code().as_str(), None),
        error: None,
        back_url: flow_token::address(state, paths::LOGIN, &flow_token),
        username: flow_token.name.unwrap_or_default(),
        return_to: flow_token.return_to,
    }
}
