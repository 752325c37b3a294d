//! The cookies that carry session ids: for this host only, over TLS only, hidden from scripts.

use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;

use super::HttpError;
use super::cookies::{self, SameSite};

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

    /// The `Set-Cookie` line of a session id. Without a maximum age the cookie lives until the browser closes.
    pub fn set(self, id: &str, max_age: Option<Duration>) -> String {
        cookies::line(self.name, id, max_age, self.same_site)
    }

    /// The `Set-Cookie` line that removes the cookie.
    pub fn remove(self) -> String {
        self.set("", Some(Duration::ZERO))
    }
}

/// Rejects a request with two session cookies: we cannot know which of them is ours.
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
