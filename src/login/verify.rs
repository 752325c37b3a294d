//! `GET /auth/verify?biller=SLUG`: tells a reverse proxy whether a request may pass (nginx `auth_request`, Traefik
//! `forwardAuth`). It is for portals that the proxy serves under the public host.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tower_sessions::Session;

use super::signed_in::signed_in;
use crate::state::AppState;
use crate::web::extract::Query;
use crate::web::fields::Fields;
use crate::web::paths;
use signpost_core::Slug;

const USER: HeaderName = HeaderName::from_static("x-signpost-user");
const BILLER: HeaderName = HeaderName::from_static("x-signpost-biller");
const SUBJECT: HeaderName = HeaderName::from_static("x-signpost-subject");
const AUTH_TIME: HeaderName = HeaderName::from_static("x-signpost-auth-time");

/// Header values are ASCII. Other characters, and the percent sign, are percent-encoded.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// 200 with the user's headers if the user is signed in at that biller, else 401. With `redirect=1` it redirects to the
/// sign-in instead of 401.
///
/// Every 200 sets all four headers, so that a proxy that copies them replaces any headers of these names that a client sent.
pub(super) async fn verify(
    State(state): State<AppState>,
    session: Session,
    Query(fields): Query,
    headers: HeaderMap,
) -> Response {
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
    // The proxy reports the requested path. It counts only if it is an allowed return target.
    let requested = headers.get("x-forwarded-uri").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut target = paths::absolute(&state.config, &paths::biller(slug)).to_string();
    if let Some(path) = state.config.return_to.resolve(requested) {
        target = paths::with_query(&target, "return_to", &path);
    }
    Redirect::to(&target).into_response()
}
