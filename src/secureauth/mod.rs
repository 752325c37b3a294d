//! The only access to SecureAuth and other identity providers. Each biller has its own OpenID Connect client registration.
//!
//! `openidconnect` implements the protocol. The checks that it leaves to its caller are in `checks` and `jwks`.

mod addresses;
mod authorization;
mod checks;
mod client_auth;
mod discovery;
mod error;
mod http;
mod json;
mod jwks;
mod jws;
mod logout_token;
pub mod management;
mod providers;
mod redirect_uri;
mod registration;
mod signin;
mod signing_key;
mod token_errors;
mod userinfo;

pub use authorization::{AuthorizationSecrets, RequestParams};
pub use client_auth::ClientAuth;
pub use error::ProviderError;
pub use http::{Http, HttpClientError};
pub use logout_token::LogoutToken;
pub use providers::{IssuerContact, Provider, Providers};
pub use registration::{AuthorizationParams, Registration};
pub use signin::SignIn;
pub use token_errors::setup_fault;
