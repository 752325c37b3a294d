//! Form fields, cookies and redirects.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use cookie::{Cookie, SameSite};

/// The fields of a query or a form, in order.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded` bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// A field. An empty value counts as omitted (RFC 6749, section 3.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of a field except empty ones.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|(key, _)| key == name).count() > 1
    }
}

pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// Sets a session cookie: `HttpOnly`, `SameSite=Lax`.
pub(crate) fn with_cookie(response: Response, name: &str, value: &str, path: &str) -> Response {
    append(response, Cookie::build((name, value)).path(path))
}

/// Removes a cookie.
pub(crate) fn without_cookie(response: Response, name: &str, path: &str) -> Response {
    append(response, Cookie::build((name, "")).path(path).removal())
}

fn append(mut response: Response, cookie: cookie::CookieBuilder<'_>) -> Response {
    let text = cookie.http_only(true).same_site(SameSite::Lax).build().to_string();
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// 303 See Other.
pub(crate) fn see_other(location: &str) -> Response {
    no_store(Redirect::to(location).into_response())
}

pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
