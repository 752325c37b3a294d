//! HTTP that all audiences share: extractors, routers, middleware, security headers, errors, languages, sessions and assets.

pub mod admission;
pub mod assets;
pub mod brand;
pub mod browser_session;
pub mod client;
mod connection;
pub mod cookies;
pub mod device;
pub mod error;
pub mod extract;
pub mod fetch_metadata;
pub mod fields;
pub mod headers;
pub mod language;
pub mod layers;
pub mod listener;
pub mod live_router;
pub mod paths;
pub mod preview;
mod proxy_protocol;
pub mod registrations;
pub mod request_id;
pub mod routes;
pub mod serve;
pub mod session_cookie;
pub mod site_files;
pub mod tls;
pub mod transport;

pub use error::HttpError;
