//! The token request and the checks of the ID token (OpenID Connect Core, section 3.1.3).

use openidconnect::core::{CoreIdToken, CoreJwsSigningAlgorithm, CoreTokenResponse, CoreTokenType};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, IdTokenVerifier, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeVerifier, TokenResponse,
};
use serde_json::{Map, Value};
use url::Url;

use super::authorization::client;
use super::client_auth::Authenticated;
use super::discovery::check_endpoint;
use super::token_errors::{VerificationError, token_error};
use super::{AuthorizationSecrets, ClientAuth, Provider, ProviderError, Providers, Registration, checks};
use crate::telemetry::metrics::Endpoint;
use signpost_core::Timestamp;

/// A sign-in that passed every check.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The user's identifier at this issuer.
    pub subject: String,
    pub auth_time: Timestamp,
    /// The authentication methods, if the provider reports them.
    pub amr: Vec<String>,
    /// The provider's session id, for logout.
    pub sid: Option<String>,
    /// How far the provider's clock is ahead of ours, in seconds, if it is a minute or more.
    pub clock_drift: Option<i64>,
    /// The encoded token, as a hint for logout.
    pub id_token: String,
    claims: Map<String, Value>,
}

impl SignIn {
    /// A claim that is a string.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// The names of all claims.
    pub fn claim_names(&self) -> Vec<&str> {
        self.claims.keys().map(String::as_str).collect()
    }

    /// A claim that is a string or a list of strings, such as roles.
    pub fn string_list(&self, name: &str) -> Vec<&str> {
        match self.claims.get(name) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

impl Providers {
    /// Redeems an authorization code and checks the response. The code is sent once. Only if the client credentials are rejected,
    /// it is sent again with the next ones: the provider has not looked at the code then.
    ///
    /// `token_endpoint` is the one of the time when the browser was sent to the provider, so that a discovery document that
    /// changes meanwhile does not divert the code.
    pub async fn redeem(
        &self,
        registration: &Registration,
        token_endpoint: &Url,
        secrets: AuthorizationSecrets<'_>,
        code: String,
    ) -> Result<SignIn, ProviderError> {
        check_endpoint(token_endpoint, registration, self.http())?;
        let (provider, _) = self.get(registration).await?;
        let mut response = Err(ProviderError::INVALID_CLIENT);
        for (at, auth) in registration.auth.iter().enumerate() {
            response = self.exchange(registration, token_endpoint, auth, secrets, code.clone()).await;
            if response.as_ref().err() != Some(&ProviderError::INVALID_CLIENT) {
                if at > 0 {
                    tracing::warn!(
                        issuer = registration.issuer,
                        "the first client secret was rejected; the second one works"
                    );
                }
                break;
            }
        }
        let response = response?;
        check_token_response(&response)?;
        let id_token = response.id_token().ok_or(ProviderError::InvalidResponse("missing_id_token"))?;
        let verified = match self.verify(registration, &provider, id_token, &response, secrets) {
            Err(VerificationError::UnknownKey) => {
                let provider = self.with_refetched_keys(registration).await?;
                self.verify(registration, &provider, id_token, &response, secrets)
            }
            other => other,
        };
        let mut sign_in = verified.map_err(VerificationError::into_error)?;
        if !registration.claims.iter().all(|name| sign_in.claims.contains_key(name)) {
            let access_token = response.access_token().secret();
            let more = self.user_info(registration, &provider, access_token, &sign_in.subject).await?;
            // What the ID token says holds: UserInfo adds to it.
            for (name, value) in more.unwrap_or_default() {
                sign_in.claims.entry(name).or_insert(value);
            }
        }
        Ok(sign_in)
    }

    /// Whether the token endpoint accepts the client credentials: it rejects a made-up code, not the client.
    ///
    /// # Errors
    /// The rejection of the first credentials that are rejected, or the response that says neither.
    pub async fn check_credentials(&self, registration: &Registration) -> Result<(), ProviderError> {
        let (provider, _) = self.get(registration).await?;
        let (nonce, pkce_verifier) = (self.random.token::<16>(), self.random.token::<48>());
        let secrets = AuthorizationSecrets { nonce: &nonce, pkce_verifier: &pkce_verifier };
        for auth in &registration.auth {
            let code = self.random.token::<24>();
            match self.exchange(registration, provider.token_endpoint(), auth, secrets, code).await {
                Err(ProviderError::Rejected("invalid_grant")) => {}
                Err(error) => return Err(error),
                Ok(_) => return Err(ProviderError::InvalidResponse("made_up_code_accepted")),
            }
        }
        Ok(())
    }

    async fn exchange(
        &self,
        registration: &Registration,
        token_endpoint: &Url,
        auth: &ClientAuth,
        secrets: AuthorizationSecrets<'_>,
        code: String,
    ) -> Result<CoreTokenResponse, ProviderError> {
        let client = client(registration, token_endpoint)?;
        let mut request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(secrets.pkce_verifier.to_owned()));
        for (name, value) in
            auth.fields((&registration.client_id, &registration.issuer), self.clock().now(), &self.random)
        {
            request = request.add_extra_param(name, value);
        }
        let http = Authenticated { http: self.http(), header: auth.header(&registration.client_id) };
        let call = async { request.request_async(&http).await.map_err(|error| token_error(&error)) };
        self.counted(registration, Endpoint::Token, call).await
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
        // A public client has no secret, so that a token signed with a shared secret is never accepted.
        let verifier = IdTokenVerifier::new_public_client(
            ClientId::new(registration.client_id.clone()),
            issuer,
            provider.keys.keys.clone(),
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
        clock_drift: checks::clock_drift(&claims, now),
        id_token,
        claims,
    }
}

fn check_token_response(response: &CoreTokenResponse) -> Result<(), ProviderError> {
    // RFC 6749, appendix A.12. A line break would break the header of a later call.
    let secret = response.access_token().secret();
    if secret.is_empty() || !secret.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(ProviderError::InvalidResponse("invalid_access_token"));
    }
    if *response.token_type() != CoreTokenType::Bearer {
        return Err(ProviderError::InvalidResponse("invalid_token_type"));
    }
    Ok(())
}

fn time_of(seconds: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}
