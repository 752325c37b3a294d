//! How a browser came to send a request.

use axum::http::HeaderMap;
use http::StatusCode;

use crate::web::HttpError;

/// A browser that loads pages in advance must not start anything.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .any(|value| value.contains("prefetch"))
}

/// Only a top-level navigation starts or ends a sign-in: a frame, an image or a script of another page does not. Browsers that
/// send no `Sec-Fetch-Dest` are let through.
pub(super) fn require_navigation(headers: &HeaderMap) -> Result<(), HttpError> {
    match headers.get("sec-fetch-dest") {
        Some(destination) if destination != "document" => {
            Err(HttpError::new(StatusCode::FORBIDDEN, "not_a_navigation", "error-cross-site"))
        }
        _ => Ok(()),
    }
}

/// Whether another site led here (W3C, Fetch Metadata Request Headers).
pub(super) fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}
