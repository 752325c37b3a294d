//! Our cookies: for this host only, over TLS only, hidden from scripts.

use std::time::Duration;

use axum::http::HeaderMap;
use cookie::Cookie;
pub use cookie::SameSite;
use http::{HeaderValue, header};

pub fn all(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| Cookie::split_parse(line).filter_map(Result::ok))
}

/// The cookie of this name. A cookie that is there twice counts as absent.
pub fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<Cookie<'h>> {
    let mut found = all(headers).filter(|cookie| cookie.name() == name);
    found.next().filter(|_| found.next().is_none())
}

/// A `Set-Cookie` line. The name must begin with `__Host-`.
pub fn set(name: impl Into<String>, value: impl Into<String>, max_age: Duration) -> String {
    line(name, value, Some(max_age), SameSite::Lax)
}

/// Like [`set`], with a choice of what other sites' links may carry. Without a maximum age the cookie lives until the browser
/// closes.
pub fn line(
    name: impl Into<String>,
    value: impl Into<String>,
    max_age: Option<Duration>,
    same_site: SameSite,
) -> String {
    let mut cookie = Cookie::new(name.into(), value.into());
    cookie.set_path("/");
    cookie.set_secure(true);
    cookie.set_http_only(true);
    cookie.set_same_site(same_site);
    cookie.set_max_age(max_age.map(|age| cookie::time::Duration::seconds(i64::try_from(age.as_secs()).unwrap_or(0))));
    cookie.to_string()
}

/// The `Set-Cookie` line that removes a cookie.
pub fn remove(name: impl Into<String>) -> String {
    set(name, "", Duration::ZERO)
}

pub fn add(headers: &mut HeaderMap, lines: impl IntoIterator<Item = String>) {
    for value in lines.into_iter().filter_map(|line| HeaderValue::from_str(&line).ok()) {
        headers.append(header::SET_COOKIE, value);
    }
}
