//! HTTP code that the pages of customers, the API and the console share.

pub mod assets;
pub mod biller_sessions;
pub mod brand;
pub mod client;
pub mod cookies;
pub mod device;
pub mod error;
pub mod extract;
pub mod fields;
pub mod headers;
pub mod language;
pub mod layers;
pub mod paths;
pub mod preview;
pub mod registrations;
pub mod serve;
pub mod session_store;

pub use error::HttpError;
