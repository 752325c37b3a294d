//! Files at fixed paths, which crawlers, browsers and security researchers ask for.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::paths;
use crate::config::Config;

/// Their names do not change with their content.
const CACHE_CONTROL: &str = "public, max-age=86400";
const TEXT: &str = "text/plain; charset=utf-8";
/// Pages are for customers who come from a biller, not from a search.
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// `GET /robots.txt` (RFC 9309)
pub async fn robots() -> Response {
    respond(TEXT, ROBOTS)
}

/// `GET /favicon.ico`: for browsers and bookmarks that do not read the icon of a page.
pub async fn favicon() -> Response {
    respond("image/vnd.microsoft.icon", include_bytes!("../../static/favicon.ico").as_slice())
}

/// `GET /apple-touch-icon.png`: for home screens.
pub async fn touch_icon() -> Response {
    respond("image/png", include_bytes!("../../static/apple-touch-icon.png").as_slice())
}

/// `GET /.well-known/security.txt` (RFC 9116). 404 unless the settings have it.
pub async fn security_txt(State(config): State<Arc<Config>>) -> Response {
    match security_text(&config) {
        Some(text) => respond(TEXT, text),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn security_text(config: &Config) -> Option<String> {
    let settings = &config.security_txt;
    let expires = settings.expires.filter(|_| !settings.contact.is_empty())?;
    let mut text = String::new();
    for contact in &settings.contact {
        let _ = writeln!(text, "Contact: {contact}");
    }
    let _ = writeln!(text, "Expires: {expires}");
    for (field, url) in [("Encryption", &settings.encryption), ("Policy", &settings.policy)] {
        if let Some(url) = url {
            let _ = writeln!(text, "{field}: {url}");
        }
    }
    if !settings.preferred_languages.is_empty() {
        let _ = writeln!(text, "Preferred-Languages: {}", settings.preferred_languages.join(", "));
    }
    let _ = writeln!(text, "Canonical: {}", paths::absolute(config, paths::SECURITY_TXT));
    Some(text)
}

fn respond(content_type: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static(CACHE_CONTROL));
    response
}
