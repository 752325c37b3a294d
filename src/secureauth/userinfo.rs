//! UserInfo (OpenID Connect Core, section 5.3): claims that the ID token lacks. Many providers send those of a profile here only.

use serde_json::{Map, Value};

use super::error::invalid_response;
use super::jws::Jws;
use super::{Provider, ProviderError, Providers, Registration, json};
use crate::telemetry::metrics::Endpoint;

impl Providers {
    /// The claims of UserInfo, signed or not. `None`: the provider has no such endpoint.
    ///
    /// # Errors
    /// The endpoint failed, or its response is not about `subject` or not signed by this provider for this client.
    pub(super) async fn user_info(
        &self,
        registration: &Registration,
        provider: &Provider,
        access_token: &str,
        subject: &str,
    ) -> Result<Option<Map<String, Value>>, ProviderError> {
        let Some(endpoint) = &provider.document.userinfo_endpoint else { return Ok(None) };
        let call = self.http().get_with_token(endpoint, access_token);
        let (media_type, body) = self.counted(registration, Endpoint::UserInfo, call).await?;
        let claims = if media_type == "application/jwt" {
            self.signed_claims(registration, provider, &body).await?
        } else {
            json::object(&body).map_err(|_| ProviderError::InvalidResponse("userinfo_malformed"))?
        };
        // OpenID Connect Core, section 5.3.2: otherwise the claims are of another user.
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(ProviderError::InvalidResponse("userinfo_subject_mismatch"));
        }
        Ok(Some(claims))
    }

    async fn signed_claims(
        &self,
        registration: &Registration,
        provider: &Provider,
        body: &[u8],
    ) -> Result<Map<String, Value>, ProviderError> {
        let token = std::str::from_utf8(body).map_err(|_| ProviderError::InvalidResponse("userinfo_malformed"))?;
        let jws = Jws::parse(token.trim(), &["jwt"])?;
        if !registration.id_token_algs.contains(&jws.alg) {
            return Err(ProviderError::InvalidResponse("invalid_algorithm"));
        }
        let is_valid = match jws.verify(provider) {
            None => jws.verify(&*self.with_refetched_keys(registration).await?),
            known => known,
        };
        if is_valid != Some(true) {
            return Err(ProviderError::InvalidResponse("invalid_signature"));
        }
        // Signed UserInfo should name its issuer and audience (OpenID Connect Core, section 5.3.2).
        let names = |claim: &str, expected: &str| match jws.claims.get(claim) {
            None => true,
            Some(Value::Array(several)) => matches!(&several[..], [one] if one == expected),
            Some(one) => one == expected,
        };
        for (claim, expected) in [("iss", &registration.issuer), ("aud", &registration.client_id)] {
            if !names(claim, expected) {
                let found = jws.claims.get(claim).unwrap_or(&Value::Null);
                let detail = format!("{claim} of UserInfo is {found}, expected is {expected:?}");
                return Err(invalid_response("userinfo_of_another_client", &detail));
            }
        }
        Ok(jws.claims)
    }
}
