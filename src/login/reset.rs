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
use super::{show, start};
use crate::directory::Biller;
use crate::kernel::{Locale, Purpose, Slug, TypedName};
use crate::state::AppState;
use crate::web::client::Peer;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, Luggage, RecoverToken};
use crate::web::language::Language;
use crate::web::{Refusal, paths};

/// Room for the longest username and slug, so that the page about them has one length for all.
const PADDED: usize = 640;

/// The address of the reset page, with the name already typed.
pub(super) fn address(state: &AppState, locale: Locale, name: Option<&str>) -> String {
    with_name(state, paths::RESET, locale, name)
}

/// A page's address that takes the name along, sealed, in the language of the page that it stands on.
pub(super) fn with_name(state: &AppState, path: &str, locale: Locale, name: Option<&str>) -> String {
    let Some(name) = name else { return path.to_owned() };
    let token = RecoverToken { locale: Some(locale), name: Some(name.to_owned()), ..RecoverToken::default() };
    paths::with_query(path, "t", &state.keys.seal(Purpose::Recover, "", &token))
}

/// What such an address takes along.
pub(super) fn token_of(state: &AppState, query: Option<String>) -> Option<RecoverToken> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    state.keys.open(Purpose::Recover, "", fields.get("t")?).ok()
}

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
        Found::Typed(slug) => return Ok(Redirect::permanent(&paths::biller_reset(&slug)).into_response()),
    };
    if biller.settings.home.as_ref().is_some_and(|home| home.sso) {
        return elsewhere(&state, &language, &biller);
    }
    form_page(&state, language, Some(&biller), query)
}

fn form_page(
    state: &AppState,
    language: Language,
    biller: Option<&Biller>,
    query: Option<String>,
) -> Result<Response, Refusal> {
    let token = token_of(state, query).unwrap_or_default();
    let language = language.or(token.locale);
    let username = token.name.unwrap_or_default();
    show::form_page(StatusCode::OK, &page(state, &language, biller, username), Vec::new())
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
    let Found::Biller(biller) = find(&state, &slug).await? else { return Err(start::unknown_biller()) };
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
    let language = language.of_form(&action(biller), &fields, &["username"]);
    let typed = fields.get("username").unwrap_or_default();
    let name = match TypedName::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let error = Some(sentence(&language, error));
            let page = ResetPage { error, ..page(state, &language, biller, kept(typed)) };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    check_limits(state, peer, headers, &name)?;
    check_mail_limits(state, peer, headers)?;
    let slug = biller.map(|biller| &biller.slug);
    // With the database gone the legacy reset is what is left, as it is with signing in.
    if let Err(error) = state.mail.ask_for_reset(&name, slug, language.locale).await {
        tracing::error!(error = %error, "a password reset could not be written down");
    }
    sent_page(state, language, biller, name)
}

/// `GET /reset/sent`: the same page again, in another language. Nothing is done anew.
pub(super) async fn sent(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let token = token_of(&state, query).unwrap_or_default();
    let Some(name) = token.name.and_then(|name| TypedName::parse(&name).ok()) else {
        return Ok(Redirect::to(paths::RESET).into_response());
    };
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    let biller = token.biller.and_then(|slug| billers.by_slug(&slug).cloned());
    sent_page(&state, language, biller.as_deref(), name)
}

fn sent_page(
    state: &AppState,
    language: Language,
    biller: Option<&Biller>,
    name: TypedName,
) -> Result<Response, Refusal> {
    let (locale, slug) = (language.locale, biller.map(|biller| biller.slug.clone()));
    let token = RecoverToken {
        locale: Some(locale),
        name: Some(name.typed().to_owned()),
        biller: slug.clone(),
        ..RecoverToken::default()
    };
    let token = state.keys.seal_padded(Purpose::Recover, "", &token, PADDED);
    let language = language.at(paths::with_query(paths::RESET_SENT, "t", &token));
    let code = state.decisions.page_code();
    let back = match biller {
        Some(biller) => Link { label: biller.name.clone(), url: paths::biller(&biller.slug) },
        None => Link { label: state.config.help.company.clone(), url: paths::LOGIN.to_owned() },
    };
    let legacy_reset_url = handoffs::legacy_reset(state, &Luggage::new(&code, locale, Some(name), slug, None));
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
        return Slug::parse(&slug.to_ascii_lowercase()).map(Found::Typed).map_err(|_| start::unknown_biller());
    };
    let billers = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    billers.by_slug(&parsed).cloned().map(Found::Biller).ok_or_else(start::unknown_biller)
}

/// Where the form is sent.
fn action(biller: Option<&Biller>) -> String {
    biller.map_or_else(|| paths::RESET.to_owned(), |biller| paths::biller_reset(&biller.slug))
}

fn page(state: &AppState, language: &Language, biller: Option<&Biller>, username: String) -> ResetPage {
    let back_url = biller.map_or_else(|| paths::LOGIN.to_owned(), |biller| paths::biller(&biller.slug));
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), biller);
    ResetPage { chrome, username, error: None, action: action(biller), back_url }
}

/// The biller's people sign in at a provider of its own: a reset here would make a second password, or none.
fn elsewhere(state: &AppState, language: &Language, biller: &Biller) -> Result<Response, Refusal> {
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), Some(biller));
    let page = ResetElsewherePage { chrome, biller: biller.name.clone(), sign_in_url: paths::biller(&biller.slug) };
    show::page(StatusCode::OK, &page)
}
