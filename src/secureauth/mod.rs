//! The only door to SecureAuth: each biller is an OpenID Connect relying party registration of its own.
//!
//! `openidconnect` does the protocol; what it leaves open (see `checks` and `keys`) is closed here.

mod checks;
mod document;
mod error;
mod http;
mod keys;
mod providers;
mod signin;

pub use error::ProviderError;
pub use http::{Http, HttpError};
pub use providers::{Contact, Provider, Providers};
pub use signin::{Attempt, SignIn};

use secrecy::SecretString;
use url::Url;

/// One biller's registration at its issuer.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Issuer identifier, exactly as the provider writes it.
    pub issuer: String,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
    /// The secret goes into the form instead of the header.
    pub secret_in_form: bool,
    /// Where the provider sends the browser back.
    pub redirect_uri: Url,
    /// Scopes besides `openid`.
    pub scopes: Vec<String>,
    /// Signature algorithms accepted for ID tokens.
    pub id_token_algs: Vec<String>,
    /// Hosts besides the issuer's where its endpoints may be.
    pub extra_hosts: Vec<String>,
}
