//! The cookies that carry session ids: for this host only, over TLS only, hidden from scripts.

use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};
use tower_sessions::service::PlaintextCookie;
use tower_sessions::{Expiry, SessionManagerLayer};

use super::HttpError;
use super::cookies::{self, SameSite};
use super::paths::LOGOUT;
use super::session_store::TowerSessions;
use crate::sessions::Sessions;

/// The cookie of one kind of sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionCookie {
    name: &'static str,
    same_site: SameSite,
}

/// `Lax`: a customer comes back from the identity provider by a link.
pub const CUSTOMER: SessionCookie = SessionCookie { name: "__Host-s", same_site: SameSite::Lax };
/// `Strict`: no other site's link opens a page of the console with a session.
pub const STAFF: SessionCookie = SessionCookie { name: "__Host-staff", same_site: SameSite::Strict };

impl SessionCookie {
    /// The session id that the browser sent.
    pub fn id(self, headers: &HeaderMap) -> Option<String> {
        cookies::get(headers, self.name).map(|cookie| cookie.value().to_owned())
    }

    /// Whether the request has the cookie more than once, as no browser sends a `__Host-` cookie.
    pub fn is_repeated(self, headers: &HeaderMap) -> bool {
        cookies::all(headers).filter(|cookie| cookie.name() == self.name).count() > 1
    }

    /// The `Set-Cookie` line of a session id.
    pub fn set(self, id: &str, max_age: Duration) -> String {
        cookies::line(self.name, id, max_age, self.same_site)
    }

    /// The `Set-Cookie` line that removes the cookie.
    pub fn remove(self) -> String {
        self.set("", Duration::ZERO)
    }
}

/// Gives customers' handlers their `Session`.
pub fn customer_layer(sessions: Sessions) -> SessionManagerLayer<TowerSessions, PlaintextCookie> {
    SessionManagerLayer::new(TowerSessions(sessions))
        .with_name(CUSTOMER.name)
        .with_secure(true)
        .with_http_only(true)
        .with_same_site(CUSTOMER.same_site)
        .with_path("/")
        .with_expiry(Expiry::OnSessionEnd)
}

/// Rejects a request with two session cookies: the session library would take one of them.
///
/// # Errors
/// 400 `session_cookie_repeated`
pub async fn require_single(request: Request, next: Next) -> Result<Response, HttpError> {
    if [CUSTOMER, STAFF].iter().any(|cookie| cookie.is_repeated(request.headers())) {
        let reason = "session_cookie_repeated";
        return Err(HttpError { reason, ..HttpError::from_status(StatusCode::BAD_REQUEST) });
    }
    Ok(next.run(request).await)
}

/// Corrects what tower-sessions does about an absent session: the removal of a `__Host-` cookie needs the
/// attributes it was set with, and belongs on answers of the logout only. Elsewhere the answer to a slow request would take
/// away the cookie that a quicker one has just renewed.
pub async fn fix_removal(request: Request, next: Next) -> Response {
    let is_logout = request.uri().path() == LOGOUT;
    let mut response = next.run(request).await;
    let is_removal = |line: &HeaderValue| {
        line.as_bytes().strip_prefix(CUSTOMER.name.as_bytes()).is_some_and(|rest| rest.starts_with(b"=;"))
    };
    let headers = response.headers_mut();
    if headers.get_all(SET_COOKIE).iter().any(is_removal) {
        let kept: Vec<HeaderValue> =
            headers.get_all(SET_COOKIE).iter().filter(|line| !is_removal(line)).cloned().collect();
        headers.remove(SET_COOKIE);
        for line in kept {
            headers.append(SET_COOKIE, line);
        }
        if is_logout {
            cookies::add(headers, [CUSTOMER.remove()]);
        }
    }
    response
}
