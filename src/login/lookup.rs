//! The shared login page: asks for the username.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRef, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::flow_query::FlowQuery;
use super::follow::decide_and_follow;
use super::login_request::LoginRequest;
use super::page_context::PageContext;
use super::pages::{ChoosePage, Link, LoginPage};
use super::signed_in::signed_in;
use super::username_form::{Origin, check_lookup_limit, sanitize, username_error};
use super::{addresses, show};
use crate::access::Client;
use crate::directory::Biller;
use crate::handoffs::FlowContext;
use crate::sessions::BillerSession;
use crate::state::AppState;
use crate::web::browser_session::BrowserSession;
use crate::web::client::ClientAddress;
use crate::web::device::Device;
use crate::web::extract::Form;
use crate::web::fields::Fields;
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths};
use signpost_core::decision::EntryPoint;
use signpost_core::{Slug, UsernameInput};

/// `GET /` and `GET /login`. A customer who is signed in continues to the portal, or chooses one of several. `?other` shows
/// the form in any case.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: BrowserSession,
    headers: HeaderMap,
    FlowQuery { fields, flow }: FlowQuery,
) -> Result<Response, HttpError> {
    let pages = PageContext::from_ref(&state);
    let language = language.or(flow.locale);
    let return_to = fields.get("return_to").or(flow.return_to.as_deref());
    if !fields.has("other") {
        // Without the database the form still leads somewhere: the decision takes care of that.
        match signed_in(&state, &session).await.unwrap_or_default().as_slice() {
            [] => {}
            [(biller, _)] => return Ok(Redirect::to(&portal_address(&biller.slug, return_to)).into_response()),
            several => return choose(&pages, &language, several, return_to),
        }
    }
    let mut page = login_page(&pages, &language, return_to);
    page.username = flow.name.clone().unwrap_or_default();
    page.suggestions = suggestions(&state, &language, &headers, return_to);
    page.forgotten = fields.has("forgotten");
    show::lookup_page(&pages, StatusCode::OK, &page)
}

/// `POST /login`: decides where the username signs in, and goes there.
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let language = language.for_form(paths::LOGIN, &fields, &["username", "return_to", "remember"]);
    let typed = fields.get("username").unwrap_or_default();
    let name = match UsernameInput::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let pages = PageContext::from_ref(&state);
            let page = LoginPage {
                username: sanitize(typed),
                error: Some(username_error(&language, error)),
                remember: fields.has("remember"),
                suggestions: suggestions(&state, &language, &headers, fields.get("return_to")),
                ..login_page(&pages, &language, fields.get("return_to"))
            };
            return show::lookup_page(&pages, StatusCode::BAD_REQUEST, &page);
        }
    };
    route_username(&state, language, client, &headers, &fields, name).await
}

async fn route_username(
    state: &AppState,
    language: Language,
    client: Client,
    headers: &HeaderMap,
    fields: &Fields,
    name: UsernameInput,
) -> Result<Response, HttpError> {
    let flow = FlowContext {
        locale: Some(language.locale),
        name: Some(name.raw().to_owned()),
        return_to: PageContext::from_ref(state).resolve_return_to(fields.get("return_to")),
        ..FlowContext::default()
    };
    let device = Device::from_headers(&state.keys, headers);
    check_lookup_limit(state, Origin { client, device: &device }, &name).await.map_err(|error| {
        error
            .with_link("action-try-again", addresses::padded_page(&state.keys, paths::LOGIN, &flow))
            .in_locale(language.locale)
    })?;
    let remembered = device.billers(&state.directory.last_known_billers());
    let flow = FlowContext { remember: fields.has("remember"), ..flow };
    let mut request = LoginRequest::new(EntryPoint::Shared, language, flow, device);
    request.routing.remembered = remembered.iter().map(|biller| biller.slug.clone()).collect();
    decide_and_follow(state, headers, request).await
}

/// `POST /forget`: clears what this device remembers.
pub(super) async fn forget(Form(fields): Form) -> Response {
    let address = format!("{}?forgotten", paths::LOGIN);
    let address = match fields.get("return_to") {
        Some(return_to) => paths::with_query(&address, "return_to", return_to),
        None => address,
    };
    let mut response = Redirect::to(&address).into_response();
    cookies::add(response.headers_mut(), Device::forget());
    response
}

/// Links to the billers that this device remembers.
fn suggestions(state: &AppState, language: &Language, headers: &HeaderMap, return_to: Option<&str>) -> Vec<Link> {
    let return_to = PageContext::from_ref(state).resolve_return_to(return_to);
    let flow = FlowContext { locale: Some(language.locale), return_to, remember: true, ..FlowContext::default() };
    let billers = Device::from_headers(&state.keys, headers).billers(&state.directory.last_known_billers());
    billers.iter().map(|biller| show::biller_link(&state.keys, &flow, biller)).collect()
}

fn portal_address(slug: &Slug, return_to: Option<&str>) -> String {
    let address = paths::go(slug);
    return_to.map_or_else(|| address.clone(), |return_to| paths::with_query(&address, "return_to", return_to))
}

fn choose(
    pages: &PageContext,
    language: &Language,
    several: &[(Arc<Biller>, BillerSession)],
    return_to: Option<&str>,
) -> Result<Response, HttpError> {
    let mut portals: Vec<Link> = several
        .iter()
        .map(|(biller, _)| Link { label: biller.name.clone(), url: portal_address(&biller.slug, return_to) })
        .collect();
    portals.sort_by(|a, b| a.label.cmp(&b.label));
    let chrome = show::chrome(pages, language, &FlowContext::default(), None);
    let other = format!("{}?other", paths::LOGIN);
    let other = return_to.map_or_else(|| other.clone(), |return_to| paths::with_query(&other, "return_to", return_to));
    portals.push(Link { label: chrome.i18n.t("action-other-biller"), url: other });
    show::page(StatusCode::OK, &ChoosePage { chrome, portals })
}

fn login_page(pages: &PageContext, language: &Language, requested: Option<&str>) -> LoginPage {
    let return_to = pages.resolve_return_to(requested);
    let is_allowed = return_to.is_some();
    let flow = FlowContext { return_to, ..FlowContext::default() };
    LoginPage {
        chrome: show::chrome(pages, language, &flow, None),
        username: String::new(),
        error: None,
        remember: false,
        suggestions: Vec::new(),
        forgotten: false,
        return_to: requested.filter(|_| is_allowed).map(str::to_owned),
    }
}
