//! The only door to SecureAuth: each biller is an OpenID Connect relying party registration of its own.
//!
//! `openidconnect` does the protocol; what it leaves open (see `checks` and `jwks`) is closed here.

mod checks;
mod client_auth;
mod discovery;
mod error;
mod http;
mod jwks;
mod logout_token;
pub mod management;
mod providers;
mod signin;

pub use client_auth::ClientAuth;
pub use error::ProviderError;
pub use http::{Http, HttpClientError};
pub use logout_token::LogoutToken;
pub use providers::{IssuerContact, Provider, Providers};
pub use signin::{AuthorizationSecrets, RequestParams, SignIn};

use url::Url;

/// One biller's registration at its issuer.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Issuer identifier, exactly as the provider writes it.
    pub issuer: String,
    /// Client id.
    pub client_id: String,
    /// How the client proves who it is: tried in order, so that a secret can be changed without an outage.
    pub auth: Vec<ClientAuth>,
    /// Where the provider sends the browser back.
    pub redirect_uri: Url,
    /// Scopes besides `openid`.
    pub scopes: Vec<String>,
    /// Signature algorithms accepted for ID tokens.
    pub id_token_algs: Vec<String>,
    /// Hosts besides the issuer's where its endpoints may be.
    pub extra_hosts: Vec<String>,
    /// What is asked of the sign-in besides who it is.
    pub authorization_params: AuthorizationParams,
}

/// What a biller asks of a sign-in (OpenID Connect Core, section 3.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationParams {
    /// `prompt`, such as `login`.
    pub prompt: Option<String>,
    /// `acr_values`; the answer's `acr` must be one of them.
    pub acr_values: Vec<String>,
    /// `max_age` in seconds; the answer's `auth_time` must keep it.
    pub max_age: Option<u32>,
    /// `response_mode=form_post` instead of the query (OAuth 2.0 Form Post Response Mode).
    pub form_post: bool,
}
