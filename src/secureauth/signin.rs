//! The authorization code flow (OpenID Connect Core, section 3.1) with PKCE S256 (RFC 7636).

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm, CoreTokenResponse, CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthUrl, AuthorizationCode, ClaimsVerificationError, ClientId, CsrfToken, IssuerUrl,
    Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse, TokenUrl,
};
use serde_json::{Map, Value};
use url::Url;

use super::client_auth::Authenticated;
use super::{ClientAuth, HttpClientError, IssuerContact, Provider, ProviderError, Providers, Registration, checks};
use signpost_core::{Locale, Timestamp};

/// What a sign-in attempt needs from its start to its end.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationSecrets<'a> {
    /// The `nonce` sent.
    pub nonce: &'a str,
    /// The PKCE verifier: 43 to 128 characters (RFC 7636, section 4.1).
    pub pkce_verifier: &'a str,
}

/// What a request to sign in says besides (OpenID Connect Core, section 3.1.2.1).
#[derive(Clone, Copy, Debug)]
pub struct RequestParams<'a> {
    /// What comes back with the answer.
    pub state: &'a str,
    /// The name typed, so that nobody types it twice.
    pub login_hint: Option<&'a str>,
    /// The language that the sign-in page should have.
    pub locale: Locale,
}

/// A sign-in that passed every check.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who it is, at this issuer.
    pub subject: String,
    /// When the person authenticated.
    pub auth_time: Timestamp,
    /// How, if the provider says.
    pub amr: Vec<String>,
    /// The provider's session, for logout.
    pub sid: Option<String>,
    /// The token itself, as a hint for logout.
    pub id_token: String,
    claims: Map<String, Value>,
}

impl SignIn {
    /// A claim that is text.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A claim that is a text or a list of texts, such as roles.
    pub fn string_list(&self, name: &str) -> Vec<&str> {
        match self.claims.get(name) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

impl Providers {
    /// The address that the browser is sent to.
    ///
    /// # Errors
    /// The issuer does not answer, or its documents are not acceptable.
    pub async fn authorization_url(
        &self,
        registration: &Registration,
        secrets: AuthorizationSecrets<'_>,
        params: RequestParams<'_>,
    ) -> Result<(Url, std::sync::Arc<Provider>, IssuerContact), ProviderError> {
        let (provider, contact) = self.get(registration).await?;
        let client = client(registration, &provider)?
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
            // A provider that takes requests in both ways is not out of order because one way is.
            Err(ProviderError::Unavailable(reason)) if !provider.document.par_required => {
                tracing::warn!(issuer = registration.issuer, reason, "a request could not be pushed");
                address
            }
            Err(error) => return Err(error),
        };
        Ok((address, provider, contact))
    }

    /// Pushes the request (RFC 9126), where the provider takes that; answers the short address that stands for it.
    async fn push(
        &self,
        registration: &Registration,
        provider: &Provider,
        address: &Url,
    ) -> Result<Option<Url>, ProviderError> {
        #[derive(serde::Deserialize)]
        struct Pushed {
            request_uri: String,
        }
        let Some(endpoint) = &provider.document.par_endpoint else { return Ok(None) };
        let fields: Vec<(String, String)> = address.query_pairs().into_owned().collect();
        let mut response = Err(ProviderError::InvalidClient);
        for auth in &registration.auth {
            let proof = auth.fields(registration, self.clock().now(), &self.random);
            let proof = proof.into_iter().map(|(name, value)| (name.to_owned(), value));
            let fields: Vec<_> = fields.iter().cloned().chain(proof).collect();
            response = match self.http().post(endpoint, &fields, auth.header(&registration.client_id)).await? {
                (200 | 201, body) => Ok(body),
                (401, _) => Err(ProviderError::InvalidClient),
                _ => Err(ProviderError::Rejected("par_rejected")),
            };
            if response != Err(ProviderError::InvalidClient) {
                break;
            }
        }
        let pushed: Pushed =
            serde_json::from_slice(&response?).map_err(|_| ProviderError::InvalidResponse("par_response_malformed"))?;
        let mut short = provider.document.authorization_endpoint.clone();
        short
            .query_pairs_mut()
            .append_pair("client_id", &registration.client_id)
            .append_pair("request_uri", &pushed.request_uri);
        Ok(Some(short))
    }

    /// Redeems a code and checks everything about the answer.
    ///
    /// # Errors
    /// The issuer does not answer, refuses, or answers something that must not be accepted. A code is sent once only; but
    /// a client that was refused proves itself by its next secret, since the code was not looked at then.
    pub async fn redeem(
        &self,
        registration: &Registration,
        secrets: AuthorizationSecrets<'_>,
        code: String,
    ) -> Result<SignIn, ProviderError> {
        let (provider, _) = self.get(registration).await?;
        let mut response = Err(ProviderError::InvalidClient);
        for (at, auth) in registration.auth.iter().enumerate() {
            response = self.exchange(registration, &provider, auth, secrets, code.clone()).await;
            if response.as_ref().err() != Some(&ProviderError::InvalidClient) {
                if at > 0 {
                    tracing::warn!(
                        issuer = registration.issuer,
                        "the first client secret is refused, the second one is not"
                    );
                }
                break;
            }
        }
        let response = response?;
        check_token_response(&response)?;
        let id_token = response.id_token().ok_or(ProviderError::InvalidResponse("missing_id_token"))?;
        match self.verify(registration, &provider, id_token, &response, secrets) {
            Err(VerificationError::UnknownKey) => {
                let provider = self.with_refetched_keys(registration).await?;
                self.verify(registration, &provider, id_token, &response, secrets)
            }
            other => other,
        }
        .map_err(VerificationError::into_error)
    }

    async fn exchange(
        &self,
        registration: &Registration,
        provider: &Provider,
        auth: &ClientAuth,
        secrets: AuthorizationSecrets<'_>,
        code: String,
    ) -> Result<CoreTokenResponse, ProviderError> {
        let client = client(registration, provider)?;
        let mut request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(secrets.pkce_verifier.to_owned()));
        for (name, value) in auth.fields(registration, self.clock().now(), &self.random) {
            request = request.add_extra_param(name, value);
        }
        let http = Authenticated { http: self.http(), header: auth.header(&registration.client_id) };
        request.request_async(&http).await.map_err(|error| token_error(&error))
    }

    fn verify(
        &self,
        registration: &Registration,
        provider: &Provider,
        id_token: &CoreIdToken,
        response: &CoreTokenResponse,
        secrets: AuthorizationSecrets<'_>,
    ) -> Result<SignIn, VerificationError> {
        let rejected = |reason| VerificationError::Rejected(ProviderError::InvalidResponse(reason));
        let issuer = IssuerUrl::new(registration.issuer.clone()).map_err(|_| rejected("invalid_issuer_url"))?;
        let algs = registration
            .id_token_algs
            .iter()
            .filter_map(|alg| serde_json::from_value::<CoreJwsSigningAlgorithm>(Value::String(alg.clone())).ok());
        let now = self.clock().now();
        let lenient = time_of(now.seconds() - checks::LEEWAY);
        // Without a secret, so that no token signed by a shared one can pass.
        let verifier = CoreIdTokenVerifier::new_public_client(
            ClientId::new(registration.client_id.clone()),
            issuer,
            provider.keys.clone(),
        )
        .set_allowed_algs(algs)
        .set_time_fn(move || lenient);
        let nonce = Nonce::new(secrets.nonce.to_owned());
        let claims = id_token.claims(&verifier, &nonce).map_err(|error| VerificationError::from(&error))?;
        if let Some(expected) = claims.access_token_hash() {
            let alg = id_token.signing_alg().map_err(|_| rejected("invalid_algorithm"))?;
            let key = id_token.signing_key(&verifier).map_err(|_| rejected("unknown_key"))?;
            let actual = AccessTokenHash::from_token(response.access_token(), alg, key);
            if !actual.is_ok_and(|actual| actual == *expected) {
                return Err(rejected("at_hash_mismatch"));
            }
        }
        let raw = id_token.to_string();
        let claims = checks::payload(&raw).map_err(VerificationError::Rejected)?;
        checks::check(&claims, &registration.client_id, now).map_err(VerificationError::Rejected)?;
        checks::check_authorization_params(&claims, &registration.authorization_params, now)
            .map_err(VerificationError::Rejected)?;
        Ok(sign_in(raw, claims, now))
    }
}

fn sign_in(id_token: String, claims: Map<String, Value>, now: Timestamp) -> SignIn {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let auth_time = claims
        .get("auth_time")
        .and_then(checks::seconds)
        .map_or(now, |seconds| Timestamp::from_millis(seconds.saturating_mul(1000)));
    let amr = claims
        .get("amr")
        .and_then(Value::as_array)
        .map(|methods| methods.iter().filter_map(Value::as_str).take(8).map(str::to_owned).collect());
    SignIn {
        subject: text("sub").unwrap_or_default(),
        auth_time,
        amr: amr.unwrap_or_default(),
        sid: text("sid").filter(|sid| sid.len() <= 255),
        id_token,
        claims,
    }
}

type TokenClient = CoreClient<
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
>;

fn client(registration: &Registration, provider: &Provider) -> Result<TokenClient, ProviderError> {
    let issuer = IssuerUrl::new(registration.issuer.clone());
    let issuer = issuer.map_err(|_| ProviderError::InvalidResponse("invalid_issuer_url"))?;
    Ok(CoreClient::new(ClientId::new(registration.client_id.clone()), issuer, provider.keys.clone())
        .set_auth_type(AuthType::RequestBody)
        .set_redirect_uri(RedirectUrl::from_url(registration.redirect_uri.clone()))
        .set_token_uri(TokenUrl::from_url(provider.document.token_endpoint.clone())))
}

fn check_token_response(response: &CoreTokenResponse) -> Result<(), ProviderError> {
    // RFC 6749, appendix A.12. A line break in it would break the header of any later call.
    let secret = response.access_token().secret();
    if secret.is_empty() || !secret.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(ProviderError::InvalidResponse("invalid_access_token"));
    }
    if *response.token_type() != CoreTokenType::Bearer {
        return Err(ProviderError::InvalidResponse("invalid_token_type"));
    }
    Ok(())
}

fn token_error<T>(error: &RequestTokenError<HttpClientError, T>) -> ProviderError
where
    T: openidconnect::ErrorResponse + 'static + AsErrorType,
{
    match error {
        RequestTokenError::ServerResponse(response) => match response.error_type() {
            CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                ProviderError::InvalidClient
            }
            CoreErrorResponseType::InvalidGrant => ProviderError::Rejected("invalid_grant"),
            _ => ProviderError::Rejected("token_endpoint_error"),
        },
        RequestTokenError::Request(error) => (*error).into(),
        RequestTokenError::Parse(..) => ProviderError::InvalidResponse("token_response_malformed"),
        RequestTokenError::Other(_) => ProviderError::InvalidResponse("token_response_unusable"),
    }
}

/// The standard error answer's code.
trait AsErrorType {
    fn error_type(&self) -> &CoreErrorResponseType;
}

impl AsErrorType for openidconnect::StandardErrorResponse<CoreErrorResponseType> {
    fn error_type(&self) -> &CoreErrorResponseType {
        self.error()
    }
}

/// Why a token was not verified: an unknown key allows another try.
enum VerificationError {
    UnknownKey,
    Rejected(ProviderError),
}

impl VerificationError {
    fn into_error(self) -> ProviderError {
        match self {
            Self::UnknownKey => ProviderError::InvalidResponse("unknown_key"),
            Self::Rejected(error) => error,
        }
    }
}

impl From<&ClaimsVerificationError> for VerificationError {
    fn from(error: &ClaimsVerificationError) -> Self {
        use ClaimsVerificationError as E;
        let reason = match error {
            E::SignatureVerification(SignatureVerificationError::NoMatchingKey) => return Self::UnknownKey,
            E::SignatureVerification(SignatureVerificationError::AmbiguousKeyId(_)) => "ambiguous_key",
            E::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => "invalid_algorithm",
            E::SignatureVerification(_) => "invalid_signature",
            E::Expired(_) => "expired",
            E::InvalidAudience(_) => "invalid_audience",
            E::InvalidIssuer(_) => "invalid_issuer",
            E::InvalidNonce(_) => "invalid_nonce",
            E::InvalidSubject(_) => "invalid_sub",
            _ => "id_token_rejected",
        };
        Self::Rejected(ProviderError::InvalidResponse(reason))
    }
}

fn time_of(seconds: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}
