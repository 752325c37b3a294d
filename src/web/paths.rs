//! Full addresses of the gateway's paths. Scheme and host come from the settings, never from a request.

use url::Url;

use crate::config::Config;
use signpost_core::Slug;

pub use signpost_core::paths::*;

/// The full address of one of our paths.
pub fn absolute(config: &Config, path: &str) -> Url {
    config.server.public_url.join(path).unwrap_or_else(|_| config.server.public_url.clone())
}

/// The redirect URI that is registered at the biller's issuer.
pub fn redirect_uri(config: &Config, slug: &Slug) -> Url {
    absolute(config, &callback(slug))
}

/// An address with the query string of another, unchanged. A query that no `Location` header can carry is dropped.
pub fn with_raw_query(address: String, query: Option<&str>) -> String {
    match query {
        Some(query) if !query.is_empty() && query.bytes().all(|b| b.is_ascii_graphic()) => format!("{address}?{query}"),
        _ => address,
    }
}
