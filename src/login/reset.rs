//! A forgotten password: `/reset`, and `/b/{slug}/reset` where the biller is known. The answer is the same for everybody; what
//! there is to do is done after it.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::lookup::{check_lookup_rate_limit, check_mail_rate_limit, read_form, sanitize, username_error};
use super::pages::{ExternalPasswordPage, Link, ResetPage, ResetSentPage};
use super::{flow_token, links, show, start};
use crate::directory::Biller;
use crate::state::AppState;
use crate::web::client::Peer;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, FlowToken, HandoffPayload};
use crate::web::language::Language;
use crate::web::{HttpError, paths};
use signpost_core::{Slug, UsernameInput};

/// `GET /.well-known/change-password` (W3C, A Well-Known URL for Changing Passwords).
pub(super) async fn change_password() -> Redirect {
    Redirect::to(paths::RESET)
}

/// `GET /reset`, with `?t=` from a page that knows the name.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    form_page(&state, language, None, query)
}

/// `GET /b/{slug}/reset`
pub(super) async fn biller_form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    let biller = match find(&state, &slug).await? {
        ResolvedSlug::Biller(biller) => biller,
        ResolvedSlug::Canonical(slug) => {
            let address = paths::with_raw_query(paths::biller_reset(&slug), query.as_deref());
            return Ok(Redirect::permanent(&address).into_response());
        }
    };
    if biller.user_pool.as_ref().is_some_and(|user_pool| user_pool.sso) {
        let flow_token = flow_token::open(&state, query.as_deref()).unwrap_or_default();
        return external_password_page(&state, &language, &biller, flow_token.return_to.as_deref());
    }
    form_page(&state, language, Some(&biller), query)
}

fn form_page(
    state: &AppState,
    language: Language,
    biller: Option<&Biller>,
    query: Option<String>,
) -> Result<Response, HttpError> {
    let mut flow_token = flow_token::open(state, query.as_deref()).unwrap_or_default();
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    flow_token.return_to =
        fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked)).or(flow_token.return_to);
    let language = language.or(flow_token.locale);
    show::form_page(StatusCode::OK, &page(state, &language, biller, flow_token), Vec::new())
}

/// `POST /reset`
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    handle_submit(&state, language, peer, (&headers, &body), None).await
}

/// `POST /b/{slug}/reset`
pub(super) async fn biller_submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    let ResolvedSlug::Biller(biller) = find(&state, &slug).await? else { return Err(unknown(&state)) };
    handle_submit(&state, language, peer, (&headers, &body), Some(&biller)).await
}

async fn handle_submit(
    state: &AppState,
    language: Language,
    peer: Option<Extension<Peer>>,
    (headers, body): (&HeaderMap, &[u8]),
    biller: Option<&Biller>,
) -> Result<Response, HttpError> {
    let fields = read_form(headers, body)?;
    let language = language.for_form(&action(biller), &fields, &["username", "return_to"]);
    let return_to = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked));
    let typed = fields.get("username").unwrap_or_default();
    let name = match UsernameInput::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let flow_token = FlowToken { name: Some(sanitize(typed)), return_to, ..FlowToken::default() };
            let page = ResetPage {
                error: Some(username_error(&language, error)),
                ..page(state, &language, biller, flow_token)
            };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    let flow_token = flow_token::new(language.locale, Some(&name), return_to);
    let limited =
        check_lookup_rate_limit(state, peer, headers, &name).and_then(|()| check_mail_rate_limit(state, peer, headers));
    limited.map_err(|error| {
        error
            .with_link("action-try-again", flow_token::padded_address(state, &action(biller), &flow_token))
            .in_locale(language.locale)
    })?;
    let slug = biller.map(|biller| &biller.slug);
    // With the database gone the legacy reset is what is left, as it is with signing in.
    if let Err(error) = state.mail.enqueue_password_reset(&name, slug, language.locale).await {
        tracing::error!(error = %error, "a password reset could not be written down");
    }
    sent_page(state, language, biller, name, flow_token.return_to)
}

/// `GET /reset/sent`: the same page again, in another language. Nothing is done anew.
pub(super) async fn sent(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    let token = flow_token::open(&state, query.as_deref()).unwrap_or_default();
    let Some(name) = token.name.and_then(|name| UsernameInput::parse(&name).ok()) else {
        return Ok(Redirect::to(paths::RESET).into_response());
    };
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    let biller = token.biller.and_then(|slug| billers.by_slug(&slug).cloned());
    sent_page(&state, language, biller.as_deref(), name, token.return_to)
}

fn sent_page(
    state: &AppState,
    language: Language,
    biller: Option<&Biller>,
    name: UsernameInput,
    return_to: Option<String>,
) -> Result<Response, HttpError> {
    let (locale, slug) = (language.locale, biller.map(|biller| biller.slug.clone()));
    let flow_token = FlowToken { biller: slug.clone(), ..flow_token::new(locale, Some(&name), return_to.clone()) };
    let language = language.at(flow_token::padded_address(state, paths::RESET_SENT, &flow_token));
    let code = state.decisions.page_code();
    let back = match biller {
        Some(biller) => Link { label: biller.name.clone(), url: sign_in_url(biller, return_to.as_deref()) },
        None => Link {
            label: state.config.help.company.clone(),
            url: flow_token::padded_address(state, paths::LOGIN, &flow_token),
        },
    };
    let payload = HandoffPayload::new(&code, locale, Some(name), slug, return_to);
    let legacy_reset_url = handoffs::legacy_reset_url(state, &payload);
    let page = ResetSentPage { chrome: show::chrome(state, &language, code.as_str(), biller), legacy_reset_url, back };
    show::page(StatusCode::OK, &page)
}

enum ResolvedSlug {
    Biller(std::sync::Arc<Biller>),
    /// Typed off a bill, with capitals: the address it stands for.
    Canonical(Slug),
}

async fn find(state: &AppState, slug: &str) -> Result<ResolvedSlug, HttpError> {
    let Ok(parsed) = Slug::parse(slug) else {
        return Slug::parse(&slug.to_ascii_lowercase()).map(ResolvedSlug::Canonical).map_err(|_| unknown(state));
    };
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    billers.by_slug(&parsed).cloned().map(ResolvedSlug::Biller).ok_or_else(|| unknown(state))
}

fn unknown(state: &AppState) -> HttpError {
    start::unknown_biller(state, &FlowToken::default())
}

/// The biller's sign-in, with the return target.
pub(super) fn sign_in_url(biller: &Biller, return_to: Option<&str>) -> String {
    let path = paths::biller(&biller.slug);
    return_to.map_or_else(|| path.clone(), |return_to| paths::with_query(&path, "return_to", return_to))
}

/// Where the form is sent.
fn action(biller: Option<&Biller>) -> String {
    biller.map_or_else(|| paths::RESET.to_owned(), |biller| paths::biller_reset(&biller.slug))
}

fn page(state: &AppState, language: &Language, biller: Option<&Biller>, flow_token: FlowToken) -> ResetPage {
    let flow_token = FlowToken { locale: Some(language.locale), ..flow_token };
    let back_url = match biller {
        Some(biller) => sign_in_url(biller, flow_token.return_to.as_deref()),
        None => flow_token::address(state, paths::LOGIN, &flow_token),
    };
    ResetPage {
        chrome: show::chrome(state, language, state.decisions.page_code().as_str(), biller),
        error: None,
        action: action(biller),
        back_url,
        forgot_username_url: links::address(state, &flow_token)
            .unwrap_or_else(|| flow_token::address(state, paths::RECOVER, &flow_token)),
        username: flow_token.name.unwrap_or_default(),
        return_to: flow_token.return_to,
    }
}

/// The biller's people sign in at a provider of its own: a reset here would make a second password, or none.
fn external_password_page(
    state: &AppState,
    language: &Language,
    biller: &Biller,
    return_to: Option<&str>,
) -> Result<Response, HttpError> {
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), Some(biller));
    let page =
        ExternalPasswordPage { chrome, biller: biller.name.clone(), sign_in_url: sign_in_url(biller, return_to) };
    show::page(StatusCode::OK, &page)
}
