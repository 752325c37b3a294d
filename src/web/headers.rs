//! Security headers, for every route and status.

use axum::extract::Request;
use axum::response::Response;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};

use crate::config::Config;

/// What the headers of a page must allow. A response extension, which only pages with forms have.
#[derive(Clone, Debug, Default)]
pub struct PagePolicy {
    /// Origins, besides our own, that a form of the page may redirect to.
    pub form_targets: Vec<String>,
    /// More directives of the content security policy, each with a leading semicolon.
    pub extra_csp: &'static str,
}

const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// Sets the headers by the kind of response: page, redirect, API response or static file.
pub async fn set(config: &Config, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let is_post = request.method() == Method::POST;
    let mut response = next(request).await;
    let policy_hints = response.extensions_mut().remove::<PagePolicy>();
    let is_page = content_type(&response).starts_with("text/html");
    let is_static = response.headers().get(header::CACHE_CONTROL).is_some();
    let headers = response.headers_mut();
    if config.server.public_url.scheme() == "https" {
        set_text(headers, header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
    set_text(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set_text(headers, CORP, "same-origin");
    let referrer = if policy_hints.is_some() { "same-origin" } else { "no-referrer" };
    set_text(headers, header::REFERRER_POLICY, referrer);
    if !is_static {
        // With `no-store`, the browser shows an error when Back leads to the response of a form (docs/adr/0005).
        let cache_control = if is_page && is_post { "private, no-cache" } else { "no-store" };
        set_text(headers, header::CACHE_CONTROL, cache_control);
    }
    let extra_csp = policy_hints.as_ref().map_or("", |policy_hints| policy_hints.extra_csp);
    let form_action = match policy_hints {
        Some(policy_hints) => {
            std::iter::once("'self'".to_owned()).chain(policy_hints.form_targets).collect::<Vec<_>>().join(" ")
        }
        None => "'none'".to_owned(),
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action {form_action}; frame-ancestors 'none'; \
         base-uri 'none'{extra_csp}"
    );
    if let Ok(value) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    if is_page {
        set_text(headers, COOP, "same-origin");
        set_text(headers, PERMISSIONS, "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
        set_text(headers, header::X_FRAME_OPTIONS, "DENY");
        set_text(headers, ROBOTS, "noindex, nofollow");
    }
    response
}

fn content_type(response: &Response) -> &str {
    response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn set_text(headers: &mut http::HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
