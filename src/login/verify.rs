//! `GET /auth/verify?biller=SLUG`: tells a reverse proxy whether a request may pass (nginx `auth_request`, Traefik
//! `forwardAuth`). It is for portals that the proxy serves under the public host.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::signed_in::signed_in;
use crate::sessions::VerifiedUser;
use crate::state::AppState;
use crate::telemetry::note_biller;
use crate::web::browser_session::BrowserSession;
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
/// sign-in instead of 401. If the sessions cannot be read, the answer is 503, or 200 for a session that this instance verified
/// moments ago.
///
/// Every 200 sets all four headers, so that a proxy that copies them replaces any headers of these names that a client sent.
pub(super) async fn verify(
    State(state): State<AppState>,
    session: BrowserSession,
    Query(fields): Query,
    headers: HeaderMap,
) -> Response {
    let Some(slug) = fields.get("biller").and_then(|slug| Slug::parse(slug).ok()) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    if let Some(biller) = state.directory.last_known_billers().by_slug(&slug) {
        note_biller(biller.slug.as_str());
    }
    let session_id = session.id().unwrap_or_default().to_owned();
    let verified = &state.biller_sessions.verified;
    let within = (state.clock.now(), Duration::from_secs(state.config.sessions.verify_grace_seconds));
    let rows = match signed_in(&state, &session).await {
        Ok(rows) => rows,
        Err(error) => {
            let user = verified.find(&session_id, &slug, within).filter(|_| is_enabled(&state, &slug));
            return user.map_or_else(|| error.into_response(), |user| accept(&slug, &user));
        }
    };
    let Some((biller, row)) = rows.into_iter().find(|(biller, _)| biller.slug == slug) else {
        verified.forget(&session_id, &slug);
        return deny(&state, &slug, &fields, &headers);
    };
    let user = VerifiedUser { username: row.details.username, subject: row.subject, auth_time: row.auth_time };
    let response = accept(&biller.slug, &user);
    verified.remember(&session_id, &slug, user, within);
    response
}

fn accept(slug: &Slug, user: &VerifiedUser) -> Response {
    let value = |text: &str| HeaderValue::try_from(utf8_percent_encode(text, ESCAPED).to_string());
    let (name, subject) = (value(&user.username), value(&user.subject));
    let (Ok(name), Ok(subject), Ok(slug)) = (name, subject, value(slug.as_str())) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let auth_time = HeaderValue::from(user.auth_time.seconds());
    [(USER, name), (BILLER, slug), (SUBJECT, subject), (AUTH_TIME, auth_time)].into_response()
}

/// Whether users sign in at the biller now, as far as this instance knows. The kill switch file applies at once.
fn is_enabled(state: &AppState, slug: &Slug) -> bool {
    let billers = state.directory.last_known_billers();
    billers.by_slug(slug).is_some_and(|biller| state.routing.is_sign_in_enabled(biller, state.clock.now()))
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
