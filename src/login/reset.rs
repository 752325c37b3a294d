//! The password reset: `/reset`, and `/b/{slug}/reset` for a known biller. The response is the same for every username. A
//! worker does the reset later.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::flow_query::FlowQuery;
use super::page_context::PageContext;
use super::pages::{ExternalPasswordPage, Link, ResetPage, ResetSentPage};
use super::username_form::{Origin, check_mail_limit, sanitize, username_error};
use super::{addresses, errors, show};
use crate::access::Client;
use crate::db::is_logged;
use crate::directory::Biller;
use crate::handoffs::FlowContext;
use crate::state::AppState;
use crate::web::client::ClientAddress;
use crate::web::device::Device;
use crate::web::extract::{Form, TypedBillerPath};
use crate::web::fields::Fields;
use crate::web::language::Language;
use crate::web::{HttpError, paths};
use signpost_core::UsernameInput;

/// The biller of `/b/{slug}/reset`. An address with capitals is redirected to the one it stands for.
pub(super) struct ResetBiller(Arc<Biller>);

impl FromRequestParts<AppState> for ResetBiller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let unknown = || errors::unknown_biller(&state.keys, &FlowContext::default()).into_response();
        let Ok(path) = TypedBillerPath::from_request_parts(parts, state).await;
        match path {
            TypedBillerPath::Slug(slug) => {
                let (billers, error) = match state.directory.billers().await {
                    Ok(billers) => (billers, None),
                    Err(error) => (state.directory.last_known_billers(), Some(error)),
                };
                let missing = || error.map_or_else(unknown, |error| HttpError::from(error).into_response());
                billers.by_slug(&slug).cloned().map(Self).ok_or_else(missing)
            }
            TypedBillerPath::Capitals(slug) if parts.method.is_safe() => {
                let address = paths::with_raw_query(paths::biller_reset(&slug), parts.uri.query());
                Err(Redirect::permanent(&address).into_response())
            }
            TypedBillerPath::Capitals(_) | TypedBillerPath::Invalid => Err(unknown()),
        }
    }
}

/// `GET /.well-known/change-password` (W3C, A Well-Known URL for Changing Passwords).
pub(super) async fn change_password() -> Redirect {
    Redirect::to(paths::RESET)
}

/// `GET /reset`
pub(super) async fn form(
    State(pages): State<PageContext>,
    Extension(language): Extension<Language>,
    query: FlowQuery,
) -> Result<Response, HttpError> {
    form_page(&pages, language, None, query)
}

/// `GET /b/{slug}/reset`
pub(super) async fn biller_form(
    State(pages): State<PageContext>,
    Extension(language): Extension<Language>,
    ResetBiller(biller): ResetBiller,
    query: FlowQuery,
) -> Result<Response, HttpError> {
    if biller.user_pool.as_ref().is_some_and(|user_pool| user_pool.sso) {
        return external_password_page(&pages, &language, &biller, query.flow.return_to.as_deref());
    }
    form_page(&pages, language, Some(&biller), query)
}

fn form_page(
    pages: &PageContext,
    language: Language,
    biller: Option<&Biller>,
    FlowQuery { fields, flow }: FlowQuery,
) -> Result<Response, HttpError> {
    let return_to = pages.resolve_return_to(fields.get("return_to")).or(flow.return_to);
    let language = language.or(flow.locale);
    let page = page(pages, &language, biller, FlowContext { name: flow.name, return_to, ..FlowContext::default() });
    show::form_page(StatusCode::OK, &page, Vec::new())
}

/// `POST /reset`
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    handle_submit(&state, language, (client, &headers), &fields, None).await
}

/// `POST /b/{slug}/reset`
pub(super) async fn biller_submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    ResetBiller(biller): ResetBiller,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    handle_submit(&state, language, (client, &headers), &fields, Some(&biller)).await
}

async fn handle_submit(
    state: &AppState,
    language: Language,
    (client, headers): (Client, &HeaderMap),
    fields: &Fields,
    biller: Option<&Biller>,
) -> Result<Response, HttpError> {
    let pages = PageContext::from_ref(state);
    let language = language.for_form(&action(biller), fields, &["username", "return_to"]);
    let return_to = pages.resolve_return_to(fields.get("return_to"));
    let flow = FlowContext { locale: Some(language.locale), return_to, ..FlowContext::default() };
    let typed = fields.get("username").unwrap_or_default();
    let name = match UsernameInput::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let flow = FlowContext { name: Some(sanitize(typed)), ..flow };
            let error = Some(username_error(&language, error));
            let page = ResetPage { error, ..page(&pages, &language, biller, flow) };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    let flow = FlowContext { name: Some(name.raw().to_owned()), ..flow };
    let device = Device::from_headers(&state.keys, headers);
    let requester = check_mail_limit(state, Origin { client, device: &device }, &name).await.map_err(|error| {
        error
            .with_link("action-try-again", addresses::padded_page(&state.keys, &action(biller), &flow))
            .in_locale(language.locale)
    })?;
    let slug = biller.map(|biller| &biller.slug);
    // Without the database the legacy reset remains, as the legacy login does.
    if let Err(error) = state.mail.enqueue_password_reset(&name, slug, requester, language.locale).await
        && !is_logged(&error)
    {
        tracing::error!(error = %error, "a password reset could not be queued");
    }
    sent_page(state, language, biller, flow)
}

/// `GET /reset/sent`: the confirmation again, in another language. Nothing is reset again.
pub(super) async fn sent(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    FlowQuery { flow, .. }: FlowQuery,
) -> Result<Response, HttpError> {
    if flow.username().is_none() {
        return Ok(Redirect::to(paths::RESET).into_response());
    }
    let billers = state.directory.billers_or_last_known().await;
    let biller = flow.biller.as_ref().and_then(|slug| billers.by_slug(slug).cloned());
    sent_page(&state, language, biller.as_deref(), flow)
}

fn sent_page(
    state: &AppState,
    language: Language,
    biller: Option<&Biller>,
    flow: FlowContext,
) -> Result<Response, HttpError> {
    let pages = PageContext::from_ref(state);
    let code = pages.new_code();
    let flow = FlowContext {
        locale: Some(language.locale),
        biller: biller.map(|biller| biller.slug.clone()),
        reference: code.to_string(),
        failed: false,
        ..flow
    };
    let language = language.at(addresses::padded_page(&pages.keys, paths::RESET_SENT, &flow));
    let back = match biller {
        Some(biller) => {
            Link { label: biller.name.clone(), url: addresses::plain_sign_in(&biller.slug, flow.return_to.as_deref()) }
        }
        None => Link {
            label: pages.config.help.company.clone(),
            url: addresses::padded_page(&pages.keys, paths::LOGIN, &flow),
        },
    };
    let page = ResetSentPage {
        chrome: show::chrome(&pages, &language, &flow, biller),
        legacy_reset_url: state.handoffs().legacy_reset_url(&flow),
        back,
    };
    show::page(StatusCode::OK, &page)
}

fn action(biller: Option<&Biller>) -> String {
    biller.map_or_else(|| paths::RESET.to_owned(), |biller| paths::biller_reset(&biller.slug))
}

fn page(pages: &PageContext, language: &Language, biller: Option<&Biller>, flow: FlowContext) -> ResetPage {
    ResetPage {
        chrome: show::chrome(pages, language, &flow, biller),
        error: None,
        action: action(biller),
        username: flow.name.unwrap_or_default(),
        return_to: flow.return_to,
    }
}

/// The biller's users sign in at a provider of its own. We cannot reset their passwords there.
fn external_password_page(
    pages: &PageContext,
    language: &Language,
    biller: &Biller,
    return_to: Option<&str>,
) -> Result<Response, HttpError> {
    let flow = FlowContext { return_to: return_to.map(str::to_owned), ..FlowContext::default() };
    let chrome = show::chrome(pages, language, &flow, Some(biller));
    show::page(StatusCode::OK, &ExternalPasswordPage { chrome, biller: biller.name.clone() })
}
