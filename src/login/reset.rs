//! A forgotten password: `/reset`, and `/b/{slug}/reset` where the biller is known. The answer is the same for everybody; what
//! there is to do is done after it.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::lookup::{check_limits, check_mail_limits, kept, read_form, sentence};
use super::pages::{Link, ResetElsewherePage, ResetPage, ResetSentPage};
use super::{carried, links, show, start};
use crate::directory::Biller;
use crate::state::AppState;
use crate::web::client::Peer;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, Luggage, RecoverToken};
use crate::web::language::Language;
use crate::web::{Refusal, paths};
use signpost_core::{Slug, TypedName};

/// `GET /.well-known/change-password` (W3C, A Well-Known URL for Changing Passwords).
pub(super) async fn change_password() -> Redirect {
    Redirect::to(paths::RESET)
}

/// `GET /reset`, with `?t=` from a page that knows the name.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    form_page(&state, language, None, query)
}

/// `GET /b/{slug}/reset`
pub(super) async fn form_at(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let biller = match find(&state, &slug).await? {
        Found::Biller(biller) => biller,
        Found::Typed(slug) => {
            let address = paths::with_whole_query(paths::biller_reset(&slug), query.as_deref());
            return Ok(Redirect::permanent(&address).into_response());
        }
    };
    if biller.settings.home.as_ref().is_some_and(|home| home.sso) {
        let carried = carried::open(&state, query.as_deref()).unwrap_or_default();
        return elsewhere(&state, &language, &biller, carried.return_to.as_deref());
    }
    form_page(&state, language, Some(&biller), query)
}

fn form_page(
    state: &AppState,
    language: Language,
    biller: Option<&Biller>,
    query: Option<String>,
) -> Result<Response, Refusal> {
    let mut carried = carried::open(state, query.as_deref()).unwrap_or_default();
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    carried.return_to =
        fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked)).or(carried.return_to);
    let language = language.or(carried.locale);
    show::form_page(StatusCode::OK, &page(state, &language, biller, carried), Vec::new())
}

/// `POST /reset`
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    take(&state, language, peer, (&headers, &body), None).await
}

/// `POST /b/{slug}/reset`
pub(super) async fn submit_at(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let Found::Biller(biller) = find(&state, &slug).await? else { return Err(unknown(&state)) };
    take(&state, language, peer, (&headers, &body), Some(&biller)).await
}

async fn take(
    state: &AppState,
    language: Language,
    peer: Option<Extension<Peer>>,
    (headers, body): (&HeaderMap, &[u8]),
    biller: Option<&Biller>,
) -> Result<Response, Refusal> {
    let fields = read_form(headers, body)?;
    let language = language.of_form(&action(biller), &fields, &["username", "return_to"]);
    let return_to = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked));
    let typed = fields.get("username").unwrap_or_default();
    let name = match TypedName::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let carried = RecoverToken { name: Some(kept(typed)), return_to, ..RecoverToken::default() };
            let page = ResetPage { error: Some(sentence(&language, error)), ..page(state, &language, biller, carried) };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    let carried = carried::luggage(language.locale, Some(&name), return_to);
    let limited = check_limits(state, peer, headers, &name).and_then(|()| check_mail_limits(state, peer, headers));
    limited.map_err(|refusal| {
        refusal.next("go-again", carried::padded_address(state, &action(biller), &carried)).read_in(language.locale)
    })?;
    let slug = biller.map(|biller| &biller.slug);
    // With the database gone the legacy reset is what is left, as it is with signing in.
    if let Err(error) = state.mail.ask_for_reset(&name, slug, language.locale).await {
        tracing::error!(error = %error, "a password reset could not be written down");
    }
    sent_page(state, language, biller, name, carried.return_to)
}

/// `GET /reset/sent`: the same page again, in another language. Nothing is done anew.
pub(super) async fn sent(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let token = carried::open(&state, query.as_deref()).unwrap_or_default();
    let Some(name) = token.name.and_then(|name| TypedName::parse(&name).ok()) else {
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
    name: TypedName,
    return_to: Option<String>,
) -> Result<Response, Refusal> {
    let (locale, slug) = (language.locale, biller.map(|biller| biller.slug.clone()));
    let carried = RecoverToken { biller: slug.clone(), ..carried::luggage(locale, Some(&name), return_to.clone()) };
    let language = language.at(carried::padded_address(state, paths::RESET_SENT, &carried));
    let code = state.decisions.page_code();
    let back = match biller {
        Some(biller) => Link { label: biller.name.clone(), url: sign_in(biller, return_to.as_deref()) },
        None => Link {
            label: state.config.help.company.clone(),
            url: carried::padded_address(state, paths::LOGIN, &carried),
        },
    };
    let luggage = Luggage::new(&code, locale, Some(name), slug, return_to);
    let legacy_reset_url = handoffs::legacy_reset(state, &luggage);
    let page = ResetSentPage { chrome: show::chrome(state, &language, code.as_str(), biller), legacy_reset_url, back };
    show::page(StatusCode::OK, &page)
}

enum Found {
    Biller(std::sync::Arc<Biller>),
    /// Typed off a bill, with capitals: the address it stands for.
    Typed(Slug),
}

async fn find(state: &AppState, slug: &str) -> Result<Found, Refusal> {
    let Ok(parsed) = Slug::parse(slug) else {
        return Slug::parse(&slug.to_ascii_lowercase()).map(Found::Typed).map_err(|_| unknown(state));
    };
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    billers.by_slug(&parsed).cloned().map(Found::Biller).ok_or_else(|| unknown(state))
}

fn unknown(state: &AppState) -> Refusal {
    start::unknown_biller(state, &RecoverToken::default())
}

/// The biller's sign-in, with the return target.
pub(super) fn sign_in(biller: &Biller, return_to: Option<&str>) -> String {
    let path = paths::biller(&biller.slug);
    return_to.map_or_else(|| path.clone(), |return_to| paths::with_query(&path, "return_to", return_to))
}

/// Where the form is sent.
fn action(biller: Option<&Biller>) -> String {
    biller.map_or_else(|| paths::RESET.to_owned(), |biller| paths::biller_reset(&biller.slug))
}

fn page(state: &AppState, language: &Language, biller: Option<&Biller>, carried: RecoverToken) -> ResetPage {
    let carried = RecoverToken { locale: Some(language.locale), ..carried };
    let back_url = match biller {
        Some(biller) => sign_in(biller, carried.return_to.as_deref()),
        None => carried::address(state, paths::LOGIN, &carried),
    };
    ResetPage {
        chrome: show::chrome(state, language, state.decisions.page_code().as_str(), biller),
        error: None,
        action: action(biller),
        back_url,
        forgot_username_url: links::address(state, &carried)
            .unwrap_or_else(|| carried::address(state, paths::RECOVER, &carried)),
        username: carried.name.unwrap_or_default(),
        return_to: carried.return_to,
    }
}

/// The biller's people sign in at a provider of its own: a reset here would make a second password, or none.
fn elsewhere(
    state: &AppState,
    language: &Language,
    biller: &Biller,
    return_to: Option<&str>,
) -> Result<Response, Refusal> {
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), Some(biller));
    let page = ResetElsewherePage { chrome, biller: biller.name.clone(), sign_in_url: sign_in(biller, return_to) };
    show::page(StatusCode::OK, &page)
}
