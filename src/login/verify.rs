//! `GET /auth/verify?biller=SLUG`: a reverse proxy asks whether a request may pass (nginx `auth_request`, Traefik
//! `forwardAuth`), for portals that it serves under the public host.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tower_sessions::Session;

use super::lookup::signed_in;
use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::paths;
use signpost_core::Slug;

const USER: HeaderName = HeaderName::from_static("x-signpost-user");
const BILLER: HeaderName = HeaderName::from_static("x-signpost-biller");
const SUBJECT: HeaderName = HeaderName::from_static("x-signpost-subject");
const AUTH_TIME: HeaderName = HeaderName::from_static("x-signpost-auth-time");

/// Header values are ASCII: everything else, and the escape itself, is percent-encoded.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// 200 with who it is, for somebody signed in at that biller; else 401, or with `redirect=1` the way to the sign-in.
///
/// All four headers are set on every 200 and on nothing else, so that a proxy that copies them replaces what a client
/// may have sent under these names.
pub(super) async fn verify(
    State(state): State<AppState>,
    session: Session,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let Some(slug) = fields.get("biller").and_then(|slug| Slug::parse(slug).ok()) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let rows = signed_in(&state, &session).await;
    let Some((biller, row)) = rows.iter().find(|(biller, _)| biller.slug == slug) else {
        return deny(&state, &slug, &fields, &headers);
    };
    let value = |text: &str| HeaderValue::try_from(utf8_percent_encode(text, ESCAPED).to_string());
    let (user, subject) = (value(&row.details.username), value(&row.subject));
    let (Ok(user), Ok(subject), Ok(name)) = (user, subject, value(biller.slug.as_str())) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let auth_time = HeaderValue::from(row.auth_time.seconds());
    [(USER, user), (BILLER, name), (SUBJECT, subject), (AUTH_TIME, auth_time)].into_response()
}

fn deny(state: &AppState, slug: &Slug, fields: &Fields, headers: &HeaderMap) -> Response {
    let known = state.directory.last_known_billers().by_slug(slug).is_some();
    if !known || fields.get("redirect") != Some("1") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // What was asked for, as the proxy says; followed only where it is an allowed return target.
    let asked = headers.get("x-forwarded-uri").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = asked.split(['?', '#']).next().unwrap_or_default();
    let mut target = paths::absolute(&state.config, &paths::biller(slug)).to_string();
    if let Some(path) = state.config.return_to.resolve(path) {
        target = paths::with_query(&target, "return_to", &path);
    }
    Redirect::to(&target).into_response()
}
