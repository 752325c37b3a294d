//! The authorization request (OpenID Connect Core, section 3.1.2) with PKCE S256 (RFC 7636).

use std::sync::Arc;

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreJsonWebKeySet};
use openidconnect::{
    AuthType, AuthUrl, ClientId, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    TokenUrl,
};
use serde_json::Value;
use url::Url;

use super::http::DEFAULT_RETRY_AFTER;
use super::token_errors::setup_fault;
use super::{IssuerContact, Provider, ProviderError, Providers, Registration, json};
use crate::telemetry::metrics::Endpoint;
use signpost_core::Locale;

/// The secrets of one authorization request, from its start to the callback.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationSecrets<'a> {
    pub nonce: &'a str,
    /// The PKCE verifier: 43 to 128 characters (RFC 7636, section 4.1).
    pub pkce_verifier: &'a str,
}

/// Parameters of one authorization request (OpenID Connect Core, section 3.1.2.1).
#[derive(Clone, Copy, Debug)]
pub struct RequestParams<'a> {
    pub state: &'a str,
    /// The username that the customer entered.
    pub login_hint: Option<&'a str>,
    /// The locale of the identity provider's page.
    pub locale: Locale,
}

impl Providers {
    /// Returns the URL to redirect the browser to.
    pub async fn authorization_url(
        &self,
        registration: &Registration,
        secrets: AuthorizationSecrets<'_>,
        params: RequestParams<'_>,
    ) -> Result<(Url, Arc<Provider>, IssuerContact), ProviderError> {
        let (provider, contact) = self.get(registration).await?;
        let client = client(registration, &provider.document.token_endpoint)?
            .set_auth_uri(AuthUrl::from_url(provider.document.authorization_endpoint.clone()));
        let verifier = PkceCodeVerifier::new(secrets.pkce_verifier.to_owned());
        let (state, nonce) = (CsrfToken::new(params.state.to_owned()), Nonce::new(secrets.nonce.to_owned()));
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(registration.scopes.iter().cloned().map(Scope::new));
        let authorization_params = &registration.authorization_params;
        if let Some(prompt) = &authorization_params.prompt {
            request = request.add_extra_param("prompt", prompt);
        }
        if !authorization_params.acr_values.is_empty() {
            request = request.add_extra_param("acr_values", authorization_params.acr_values.join(" "));
        }
        if let Some(seconds) = authorization_params.max_age {
            request = request.add_extra_param("max_age", seconds.to_string());
        }
        if authorization_params.form_post {
            request = request.add_extra_param("response_mode", "form_post");
        }
        request = request.add_extra_param("ui_locales", params.locale.tag());
        if let Some(hint) = params.login_hint {
            request = request.add_extra_param("login_hint", hint);
        }
        let address = request.url().0;
        let address = match self.push(registration, &provider, &address).await {
            Ok(pushed) => pushed.unwrap_or(address),
            // The provider also accepts requests that are not pushed.
            Err(ProviderError::Unavailable(reason)) if !provider.document.par_required => {
                tracing::warn!(
                    issuer = registration.issuer,
                    reason,
                    "a pushed authorization request failed; the plain one is used"
                );
                address
            }
            Err(error) => return Err(error),
        };
        Ok((address, provider, contact))
    }

    /// Pushes the request (RFC 9126) if the provider supports that. Returns the short URL of the pushed request.
    async fn push(
        &self,
        registration: &Registration,
        provider: &Provider,
        address: &Url,
    ) -> Result<Option<Url>, ProviderError> {
        let Some(endpoint) = &provider.document.par_endpoint else { return Ok(None) };
        let fields: Vec<(String, String)> = address.query_pairs().into_owned().collect();
        let mut response = Err(ProviderError::INVALID_CLIENT);
        for auth in &registration.auth {
            let proof = auth.fields((&registration.client_id, &registration.issuer), self.clock().now(), &self.random);
            let proof = proof.into_iter().map(|(name, value)| (name.to_owned(), value));
            let fields: Vec<_> = fields.iter().cloned().chain(proof).collect();
            let call = async {
                match self.http().post(endpoint, &fields, auth.header(&registration.client_id)).await? {
                    (200 | 201, body) => Ok(body),
                    (401, _) => Err(ProviderError::INVALID_CLIENT),
                    (429, _) => Err(ProviderError::Throttled { status: 429, seconds: DEFAULT_RETRY_AFTER }),
                    (_, body) => Err(rejected_request(&body)),
                }
            };
            response = self.counted(registration, Endpoint::PushedAuthorization, call).await;
            if response != Err(ProviderError::INVALID_CLIENT) {
                break;
            }
        }
        let request_uri = pushed_request_uri(&response?)?;
        let mut short = provider.document.authorization_endpoint.clone();
        short
            .query_pairs_mut()
            .append_pair("client_id", &registration.client_id)
            .append_pair("request_uri", &request_uri);
        Ok(Some(short))
    }
}

/// The response to a pushed authorization request (RFC 9126, section 2.2).
fn pushed_request_uri(body: &[u8]) -> Result<String, ProviderError> {
    let members = json::object(body).map_err(|_| ProviderError::InvalidResponse("par_response_malformed"))?;
    if members.contains_key("error") {
        return Err(ProviderError::InvalidResponse("error_beside_request_uri"));
    }
    let request_uri = members.get("request_uri").and_then(Value::as_str).filter(|uri| !uri.is_empty());
    request_uri.map(str::to_owned).ok_or(ProviderError::InvalidResponse("par_response_malformed"))
}

/// The error of a pushed authorization request (RFC 9126, section 2.3).
fn rejected_request(body: &[u8]) -> ProviderError {
    #[derive(serde::Deserialize)]
    struct Rejection {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let rejection = serde_json::from_slice::<Rejection>(body);
    let fault = rejection.ok().and_then(|rejection| setup_fault(&rejection.error, &rejection.error_description));
    ProviderError::Setup(fault.unwrap_or("par_rejected"))
}

pub(super) type TokenClient = CoreClient<
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
>;

pub(super) fn client(registration: &Registration, token_endpoint: &Url) -> Result<TokenClient, ProviderError> {
    let issuer = IssuerUrl::new(registration.issuer.clone());
    let issuer = issuer.map_err(|_| ProviderError::InvalidResponse("invalid_issuer_url"))?;
    // The client verifies nothing, and needs no keys.
    Ok(CoreClient::new(ClientId::new(registration.client_id.clone()), issuer, CoreJsonWebKeySet::new(Vec::new()))
        .set_auth_type(AuthType::RequestBody)
        .set_redirect_uri(RedirectUrl::from_url(registration.redirect_uri.clone()))
        .set_token_uri(TokenUrl::from_url(token_endpoint.clone())))
}
