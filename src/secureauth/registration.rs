//! A biller's client registration at its identity provider.

use url::Url;

use super::ClientAuth;
use signpost_core::Slug;

/// One biller's registration at its issuer.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The biller whose metrics count the calls. `None`: the console's registration.
    pub biller: Option<Slug>,
    /// The issuer identifier, exactly as the discovery document spells it.
    pub issuer: String,
    pub client_id: String,
    /// Client credentials, tried in order, so that a secret can be rotated without an outage.
    pub auth: Vec<ClientAuth>,
    pub redirect_uri: Url,
    /// Scopes besides `openid`.
    pub scopes: Vec<String>,
    /// Accepted signature algorithms of ID tokens.
    pub id_token_algs: Vec<String>,
    /// Hosts besides the issuer's that its endpoints may have.
    pub extra_hosts: Vec<String>,
    pub authorization_params: AuthorizationParams,
    /// Claims that the caller needs. Those that the ID token lacks are fetched from UserInfo.
    pub claims: Vec<String>,
}

/// Optional parameters of the authorization request (OpenID Connect Core, section 3.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationParams {
    /// `prompt`, such as `login`.
    pub prompt: Option<String>,
    /// `acr_values`. The ID token's `acr` must be one of them.
    pub acr_values: Vec<String>,
    /// `max_age` in seconds, checked against the ID token's `auth_time`.
    pub max_age: Option<u32>,
    /// `response_mode=form_post` instead of the query (OAuth 2.0 Form Post Response Mode).
    pub form_post: bool,
}
