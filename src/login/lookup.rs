//! The first page: somebody types a username.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::{StatusCode, header};
use tower_sessions::Session;

use super::flow::LoginFlow;
use super::follow::{RequestContext, decide_and_follow};
use super::pages::{ChoosePage, Link, LoginPage};
use super::{flow_token, links, recover, redirect_loop, show};
use crate::directory::Biller;
use crate::i18n::Translator;
use crate::routing::RoutingRequest;
use crate::state::AppState;
use crate::web::biller_sessions::{BillerSession, BillerSessions};
use crate::web::client::{self, Peer};
use crate::web::device::Device;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, HandoffPayload};
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths};
use signpost_core::decision::EntryPoint;
use signpost_core::username::UsernameError;
use signpost_core::{Slug, UsernameInput};

/// `GET /` and `GET /login`: the form; somebody signed in already goes on to the portal, or chooses among theirs.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: Session,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    let flow_token = flow_token::open(&state, query.as_deref()).unwrap_or_default();
    let language = language.or(flow_token.locale);
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let return_to = fields.get("return_to").or(flow_token.return_to.as_deref());
    if !fields.has("other") {
        match signed_in(&state, &session).await.as_slice() {
            [] => {}
            [(biller, _)] => return Ok(Redirect::to(&go_url(&biller.slug, return_to)).into_response()),
            several => return choose(&state, &language, several, return_to),
        }
    }
    let mut page = login_page(&state, &language, return_to);
    page.username = flow_token.name.unwrap_or_default();
    page.suggestions = suggestions(&state, &language, &headers, return_to);
    page.forgotten = fields.has("forgotten");
    show::lookup_page(&state, StatusCode::OK, &page)
}

/// `POST /login`: looks the name up and goes where the decision says.
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    let fields = read_form(&headers, &body)?;
    let language = language.for_form(paths::LOGIN, &fields, &["username", "return_to", "remember"]);
    let typed = fields.get("username").unwrap_or_default();
    let return_to = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked));
    let name = match UsernameInput::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let page = LoginPage {
                username: sanitize(typed),
                error: Some(username_error(&language, error)),
                remember: fields.has("remember"),
                suggestions: suggestions(&state, &language, &headers, fields.get("return_to")),
                ..login_page(&state, &language, fields.get("return_to"))
            };
            return show::lookup_page(&state, StatusCode::BAD_REQUEST, &page);
        }
    };
    let again = || {
        let flow_token = flow_token::new(language.locale, Some(&name), return_to.clone());
        flow_token::padded_address(&state, paths::LOGIN, &flow_token)
    };
    check_lookup_rate_limit(&state, peer, &headers, &name)
        .map_err(|error| error.with_link("action-try-again", again()).in_locale(language.locale))?;
    let remembered = Device::from_headers(&state, &headers).billers(&state.directory.last_known_billers());
    let remembered = remembered.iter().map(|biller| biller.slug.clone()).collect();
    let routing_request = RoutingRequest { entry: EntryPoint::Shared, name: Some(name), remembered };
    let context = RequestContext { return_to, remember: fields.has("remember"), ..RequestContext::new(language) };
    decide_and_follow(&state, &headers, routing_request, context).await
}

/// `POST /forget`: this device keeps nothing any more.
pub(super) async fn forget(headers: HeaderMap, body: Bytes) -> Result<Response, HttpError> {
    let fields = read_form(&headers, &body)?;
    let address = format!("{}?forgotten", paths::LOGIN);
    let address =
        fields.get("return_to").map(|asked| paths::with_query(&address, "return_to", asked)).unwrap_or(address);
    let mut response = Redirect::to(&address).into_response();
    cookies::add(response.headers_mut(), Device::forget());
    Ok(response)
}

/// The ways on to the billers that this device remembers.
fn suggestions(state: &AppState, language: &Language, headers: &HeaderMap, return_to: Option<&str>) -> Vec<Link> {
    let return_to = return_to.and_then(|asked| state.config.return_to.resolve(asked));
    let flow = LoginFlow { locale: Some(language.locale), return_to, remember: true, ..LoginFlow::default() };
    let billers = Device::from_headers(state, headers).billers(&state.directory.last_known_billers());
    billers.iter().map(|biller| recover::biller_link(state, &flow, biller)).collect()
}

/// `GET /go/{slug}`: on to the portal of a biller one is signed in at; else its sign-in. `?h=` and `?return_to=` say where
/// to in the portal, as they do at `/b/{slug}`.
pub(super) async fn go(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: Session,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let slug = Slug::parse(&slug).map_err(|_| HttpError::from_status(StatusCode::NOT_FOUND))?;
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let is_own_link = fields.has("h");
    let mut flow = fields.get("h").and_then(|hint| LoginFlow::open(&state, &slug, hint)).unwrap_or_default();
    if let Some(return_to) = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked)) {
        flow.return_to = Some(return_to);
    }
    let found = signed_in(&state, &session).await.into_iter().find(|(biller, _)| biller.slug == slug);
    let Some((biller, row)) = found else { return Ok(Redirect::to(&flow.link(&state, &slug)).into_response()) };
    if !is_own_link {
        redirect_loop::check(&state, &headers, &slug, &flow.link(&state, &slug))?;
    }
    let locale = language.or(flow.locale).locale;
    let payload = HandoffPayload::new(&state.decisions.page_code(), locale, None, Some(slug.clone()), flow.return_to);
    let own_portal = biller.settings.portal_url.as_deref();
    let address = handoffs::portal_url(&state, &row, &slug, own_portal, &payload, flow.portal_state);
    let mut response = Redirect::to(&address).into_response();
    // From a link of ours it is Back or a reload.
    if !is_own_link {
        cookies::add(
            response.headers_mut(),
            [redirect_loop::record(&state, &headers, &slug, redirect_loop::Destination::Portal)],
        );
    }
    Ok(response)
}

/// Billers with the session that this browser has there.
pub(super) type SignedIn = Vec<(Arc<Biller>, BillerSession)>;

/// Where this browser is signed in and may go on; nowhere, when that cannot be found out.
pub(super) async fn signed_in(state: &AppState, session: &Session) -> SignedIn {
    let now = state.clock.now();
    match sessions(state, session).await {
        Ok(mut rows) => {
            rows.retain(|(biller, _)| state.routing.is_sign_in_enabled(biller, now));
            rows
        }
        Err(error) => {
            tracing::warn!(reason = error.reason, "sessions cannot be read");
            Vec::new()
        }
    }
}

/// Where this browser has sessions, also at billers that sign nobody in just now.
pub(super) async fn sessions(state: &AppState, session: &Session) -> Result<SignedIn, HttpError> {
    let rows = BillerSessions::new(state).live(session).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let billers = state.directory.billers().await?;
    let known = rows.into_iter().filter_map(|row| billers.by_id(&row.biller_id).map(|biller| (biller.clone(), row)));
    Ok(known.collect())
}

fn go_url(slug: &Slug, return_to: Option<&str>) -> String {
    let address = paths::go(slug);
    return_to.map_or_else(|| address.clone(), |asked| paths::with_query(&address, "return_to", asked))
}

fn choose(
    state: &AppState,
    language: &Language,
    several: &[(Arc<Biller>, BillerSession)],
    return_to: Option<&str>,
) -> Result<Response, HttpError> {
    let mut portals: Vec<Link> = several
        .iter()
        .map(|(biller, _)| Link { label: biller.name.clone(), url: go_url(&biller.slug, return_to) })
        .collect();
    portals.sort_by(|a, b| a.label.cmp(&b.label));
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), None);
    let other = format!("{}?other", paths::LOGIN);
    let other = return_to.map_or_else(|| other.clone(), |asked| paths::with_query(&other, "return_to", asked));
    portals.push(Link { label: chrome.i18n.t("action-other-biller"), url: other });
    show::page(StatusCode::OK, &ChoosePage { chrome, portals })
}

fn login_page(state: &AppState, language: &Language, return_to: Option<&str>) -> LoginPage {
    let resolved = return_to.and_then(|asked| state.config.return_to.resolve(asked));
    let flow_token = flow_token::new(language.locale, None, resolved);
    let to = |path| flow_token::address(state, path, &flow_token);
    LoginPage {
        reset_url: to(paths::RESET),
        recover_url: to(paths::RECOVER),
        links_url: links::address(state, &flow_token),
        help_url: to(paths::HELP),
        chrome: show::chrome(state, language, state.decisions.page_code().as_str(), None),
        username: String::new(),
        error: None,
        remember: false,
        suggestions: Vec::new(),
        forgotten: false,
        return_to: return_to.filter(|asked| state.config.return_to.resolve(asked).is_some()).map(str::to_owned),
    }
}

/// A form's fields; anything but a browser's form is refused.
pub(super) fn read_form(headers: &HeaderMap, body: &[u8]) -> Result<Fields, HttpError> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(HttpError::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    Fields::parse(body).map_err(|_| HttpError::from_status(StatusCode::BAD_REQUEST))
}

/// Refuses when too many names were looked up; the same way for every name.
pub(super) fn check_lookup_rate_limit(
    state: &AppState,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
    name: &UsernameInput,
) -> Result<(), HttpError> {
    let counted = name.username().map_or(name.raw(), |username| username.as_str());
    ensure_allowed(state.limits.allow_lookup(client_address(state, peer, headers), counted))
}

/// Refuses when too many mails and resets were asked for; the same way whoever they are for.
pub(super) fn check_mail_rate_limit(
    state: &AppState,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
) -> Result<(), HttpError> {
    ensure_allowed(state.limits.allow_mail_request(client_address(state, peer, headers)))
}

fn client_address(state: &AppState, peer: Option<Extension<Peer>>, headers: &HeaderMap) -> IpAddr {
    client::address(peer.map(|Extension(peer)| peer), headers, &state.config.server.trusted_proxies)
}

fn ensure_allowed(is_allowed: bool) -> Result<(), HttpError> {
    if is_allowed { Ok(()) } else { Err(HttpError::from_status(StatusCode::TOO_MANY_REQUESTS)) }
}

/// What is wrong with a name, in words that help.
pub(super) fn username_error(language: &Language, error: UsernameError) -> String {
    Translator::new(language.locale).t(match error {
        UsernameError::Empty => "username-empty",
        UsernameError::TooLong => "username-too-long",
        UsernameError::Control | UsernameError::NotAllowed => "username-invalid-characters",
    })
}

/// What was typed, to be shown again, within reason.
pub(super) fn sanitize(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_control()).take(254).collect()
}
