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

use super::flow::Journey;
use super::follow::{Visitor, decide_and_follow};
use super::pages::{ChoosePage, Link, LoginPage};
use super::{bounce, carried, links, recover, show};
use crate::directory::Biller;
use crate::routing::Arrival;
use crate::state::AppState;
use crate::web::client::{self, Peer};
use crate::web::device::Device;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, Luggage};
use crate::web::language::Language;
use crate::web::visits::{BillerSession, Visits};
use crate::web::{Refusal, cookies, paths};
use crate::words::Words;
use signpost_core::decision::Entry;
use signpost_core::username::UsernameError;
use signpost_core::{Slug, TypedName};

/// `GET /` and `GET /login`: the form; somebody signed in already goes on to the portal, or chooses among theirs.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: Session,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let carried = carried::open(&state, query.as_deref()).unwrap_or_default();
    let language = language.or(carried.locale);
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let return_to = fields.get("return_to").or(carried.return_to.as_deref());
    if !fields.has("other") {
        match signed_in(&state, &session).await.as_slice() {
            [] => {}
            [(biller, _)] => return Ok(Redirect::to(&go_address(&biller.slug, return_to)).into_response()),
            several => return choose(&state, &language, several, return_to),
        }
    }
    let mut page = login_page(&state, &language, return_to);
    page.username = carried.name.unwrap_or_default();
    page.offered = offered(&state, &language, &headers, return_to);
    page.forgotten = fields.has("forgotten");
    show::look_up_page(&state, StatusCode::OK, &page)
}

/// `POST /login`: looks the name up and goes where the decision says.
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let fields = read_form(&headers, &body)?;
    let language = language.of_form(paths::LOGIN, &fields, &["username", "return_to", "remember"]);
    let typed = fields.get("username").unwrap_or_default();
    let return_to = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked));
    let name = match TypedName::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let page = LoginPage {
                username: kept(typed),
                error: Some(sentence(&language, error)),
                remember: fields.has("remember"),
                offered: offered(&state, &language, &headers, fields.get("return_to")),
                ..login_page(&state, &language, fields.get("return_to"))
            };
            return show::look_up_page(&state, StatusCode::BAD_REQUEST, &page);
        }
    };
    let again = || {
        let carried = carried::luggage(language.locale, Some(&name), return_to.clone());
        carried::padded_address(&state, paths::LOGIN, &carried)
    };
    check_limits(&state, peer, &headers, &name)
        .map_err(|refusal| refusal.next("go-again", again()).read_in(language.locale))?;
    let remembered = Device::of(&state, &headers).billers(&state.directory.last_known_billers());
    let remembered = remembered.iter().map(|biller| biller.slug.clone()).collect();
    let arrival = Arrival { entry: Entry::Shared, name: Some(name), remembered };
    let visitor = Visitor { return_to, remember: fields.has("remember"), ..Visitor::new(language) };
    decide_and_follow(&state, &headers, arrival, visitor).await
}

/// `POST /forget`: this device keeps nothing any more.
pub(super) async fn forget(headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let fields = read_form(&headers, &body)?;
    let address = format!("{}?forgotten", paths::LOGIN);
    let address =
        fields.get("return_to").map(|asked| paths::with_query(&address, "return_to", asked)).unwrap_or(address);
    let mut response = Redirect::to(&address).into_response();
    cookies::add(response.headers_mut(), Device::forget());
    Ok(response)
}

/// The ways on to the billers that this device remembers.
fn offered(state: &AppState, language: &Language, headers: &HeaderMap, return_to: Option<&str>) -> Vec<Link> {
    let return_to = return_to.and_then(|asked| state.config.return_to.resolve(asked));
    let journey = Journey { locale: Some(language.locale), return_to, remember: true, ..Journey::default() };
    let billers = Device::of(state, headers).billers(&state.directory.last_known_billers());
    billers.iter().map(|biller| recover::door(state, &journey, biller)).collect()
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
) -> Result<Response, Refusal> {
    let slug = Slug::parse(&slug).map_err(|_| Refusal::from_status(StatusCode::NOT_FOUND))?;
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let is_own_link = fields.has("h");
    let mut journey = fields.get("h").and_then(|hint| Journey::open(&state, &slug, hint)).unwrap_or_default();
    if let Some(return_to) = fields.get("return_to").and_then(|asked| state.config.return_to.resolve(asked)) {
        journey.return_to = Some(return_to);
    }
    let found = signed_in(&state, &session).await.into_iter().find(|(biller, _)| biller.slug == slug);
    let Some((biller, row)) = found else { return Ok(Redirect::to(&journey.link(&state, &slug)).into_response()) };
    if !is_own_link {
        bounce::check(&state, &headers, &slug, &journey.link(&state, &slug))?;
    }
    let locale = language.or(journey.locale).locale;
    let luggage = Luggage::new(&state.decisions.page_code(), locale, None, Some(slug.clone()), journey.return_to);
    let own_portal = biller.settings.portal_url.as_deref();
    let address = handoffs::portal(&state, &row, &slug, own_portal, &luggage, journey.portal_state);
    let mut response = Redirect::to(&address).into_response();
    // From a link of ours it is Back or a reload.
    if !is_own_link {
        cookies::add(response.headers_mut(), [bounce::count(&state, &headers, &slug, bounce::To::Portal)]);
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
            rows.retain(|(biller, _)| state.routing.signs_in(biller, now));
            rows
        }
        Err(refusal) => {
            tracing::warn!(reason = refusal.reason, "sessions cannot be read");
            Vec::new()
        }
    }
}

/// Where this browser has sessions, also at billers that sign nobody in just now.
pub(super) async fn sessions(state: &AppState, session: &Session) -> Result<SignedIn, Refusal> {
    let rows = Visits::of(state).live(session).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let billers = state.directory.billers().await?;
    let known = rows.into_iter().filter_map(|row| billers.by_id(&row.biller_id).map(|biller| (biller.clone(), row)));
    Ok(known.collect())
}

fn go_address(slug: &Slug, return_to: Option<&str>) -> String {
    let address = paths::go(slug);
    return_to.map_or_else(|| address.clone(), |asked| paths::with_query(&address, "return_to", asked))
}

fn choose(
    state: &AppState,
    language: &Language,
    several: &[(Arc<Biller>, BillerSession)],
    return_to: Option<&str>,
) -> Result<Response, Refusal> {
    let mut portals: Vec<Link> = several
        .iter()
        .map(|(biller, _)| Link { label: biller.name.clone(), url: go_address(&biller.slug, return_to) })
        .collect();
    portals.sort_by(|a, b| a.label.cmp(&b.label));
    let chrome = show::chrome(state, language, state.decisions.page_code().as_str(), None);
    let other = format!("{}?other", paths::LOGIN);
    let other = return_to.map_or_else(|| other.clone(), |asked| paths::with_query(&other, "return_to", asked));
    portals.push(Link { label: chrome.words.say("go-other-biller"), url: other });
    show::page(StatusCode::OK, &ChoosePage { chrome, portals })
}

fn login_page(state: &AppState, language: &Language, return_to: Option<&str>) -> LoginPage {
    let resolved = return_to.and_then(|asked| state.config.return_to.resolve(asked));
    let carried = carried::luggage(language.locale, None, resolved);
    let to = |path| carried::address(state, path, &carried);
    LoginPage {
        reset_url: to(paths::RESET),
        recover_url: to(paths::RECOVER),
        links_url: links::address(state, &carried),
        help_url: to(paths::HELP),
        chrome: show::chrome(state, language, state.decisions.page_code().as_str(), None),
        username: String::new(),
        error: None,
        remember: false,
        offered: Vec::new(),
        forgotten: false,
        return_to: return_to.filter(|asked| state.config.return_to.resolve(asked).is_some()).map(str::to_owned),
    }
}

/// A form's fields; anything but a browser's form is refused.
pub(super) fn read_form(headers: &HeaderMap, body: &[u8]) -> Result<Fields, Refusal> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    Fields::parse(body).map_err(|_| Refusal::from_status(StatusCode::BAD_REQUEST))
}

/// Refuses when too many names were looked up; the same way for every name.
pub(super) fn check_limits(
    state: &AppState,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
    name: &TypedName,
) -> Result<(), Refusal> {
    let counted = name.username().map_or(name.typed(), |username| username.as_str());
    allowed(state.limits.allow(client_of(state, peer, headers), counted))
}

/// Refuses when too many mails and resets were asked for; the same way whoever they are for.
pub(super) fn check_mail_limits(
    state: &AppState,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    allowed(state.limits.allow_mail_request(client_of(state, peer, headers)))
}

fn client_of(state: &AppState, peer: Option<Extension<Peer>>, headers: &HeaderMap) -> IpAddr {
    client::address(peer.map(|Extension(peer)| peer), headers, &state.config.server.trusted_proxies)
}

fn allowed(yes: bool) -> Result<(), Refusal> {
    if yes { Ok(()) } else { Err(Refusal::from_status(StatusCode::TOO_MANY_REQUESTS)) }
}

/// What is wrong with a name, in words that help.
pub(super) fn sentence(language: &Language, error: UsernameError) -> String {
    Words::of(language.locale).say(match error {
        UsernameError::Empty => "username-empty",
        UsernameError::TooLong => "username-too-long",
        UsernameError::Control | UsernameError::NotAllowed => "username-invisible",
    })
}

/// What was typed, to be shown again, within reason.
pub(super) fn kept(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_control()).take(254).collect()
}
