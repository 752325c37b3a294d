//! How a browser came to send a request.

use axum::http::HeaderMap;

/// A browser that loads pages in advance must not start anything.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .any(|value| value.contains("prefetch"))
}

/// Whether another site led here (W3C, Fetch Metadata Request Headers).
pub(super) fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}
