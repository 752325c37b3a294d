//! A probe of the redirect URI.

use super::{AuthorizationParams, AuthorizationSecrets, ProviderError, Providers, Registration, RequestParams};
use signpost_core::Locale;

impl Providers {
    /// Whether the issuer accepts the registration's redirect URI. An authorization request with `prompt=none` (OpenID Connect
    /// Core, section 3.1.2.6) is answered at a known redirect URI, and on the issuer's own page otherwise. `None` means that
    /// the response is neither.
    pub async fn accepts_redirect_uri(&self, registration: &Registration) -> Result<Option<bool>, ProviderError> {
        let authorization_params =
            AuthorizationParams { prompt: Some("none".to_owned()), ..AuthorizationParams::default() };
        let silent = Registration { authorization_params, ..registration.clone() };
        let (nonce, verifier) = (self.random.token::<16>(), self.random.token::<48>());
        let secrets = AuthorizationSecrets { nonce: &nonce, pkce_verifier: &verifier };
        let params = RequestParams { state: "readiness", login_hint: None, locale: Locale::default() };
        let (address, ..) = match self.authorization_url(&silent, secrets, params).await {
            Err(ProviderError::Setup("par_rejected" | "invalid_redirect_uri")) => {
                return Ok(Some(false));
            }
            result => result?,
        };
        let is_own =
            |to: &url::Url| to.origin() == silent.redirect_uri.origin() && to.path() == silent.redirect_uri.path();
        Ok(match self.http().redirect_target(&address).await? {
            (_, Some(to)) if is_own(&to) => Some(true),
            (400 | 401 | 403 | 404, _) => Some(false),
            _ => None,
        })
    }
}
