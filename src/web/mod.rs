//! HTTP things that the audiences share: paths, layers, headers, languages, refusals, sessions, forms, assets, the accept loop.

pub mod assets;
pub mod biller_sessions;
pub mod brand;
pub mod client;
pub mod cookies;
pub mod device;
pub mod error;
pub mod extract;
pub mod fields;
pub mod handoffs;
pub mod headers;
pub mod language;
pub mod layers;
pub mod paths;
pub mod preview;
pub mod registrations;
pub mod routes;
pub mod serve;
pub mod session_store;

pub use error::HttpError;
