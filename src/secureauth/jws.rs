//! Signed tokens that the library does not read: logout tokens and UserInfo.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey;
use openidconnect::core::{CoreJsonWebKeyType, CoreJwsSigningAlgorithm};
use serde_json::{Map, Value};

use super::signing_key::SigningKey;
use super::{Provider, ProviderError, json};

const MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// A signed token, taken apart (RFC 7515, section 3.1).
pub(super) struct Jws<'t> {
    pub alg: String,
    kid: Option<String>,
    pub claims: Map<String, Value>,
    input: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// `types` are the accepted values of `typ` (RFC 7515, section 4.1.9), in lower case. It may be absent.
    pub(super) fn parse(token: &'t str, types: &[&str]) -> Result<Self, ProviderError> {
        const UNREADABLE: ProviderError = ProviderError::InvalidResponse("token_malformed");
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { return Err(UNREADABLE) };
        let object = |part: &str| -> Result<Map<String, Value>, ProviderError> {
            let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| UNREADABLE)?;
            json::object(&bytes).map_err(|_| UNREADABLE)
        };
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(UNREADABLE);
        }
        let (header_members, claims) = (object(header)?, object(payload)?);
        let text = |name: &str| header_members.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = text("typ").map(|kind| kind.to_ascii_lowercase());
        let is_valid = kind.as_deref().is_none_or(|kind| types.contains(&kind));
        if !is_valid || header_members.contains_key("crit") {
            return Err(ProviderError::InvalidResponse("invalid_token_type"));
        }
        Ok(Self {
            alg: text("alg").ok_or(UNREADABLE)?,
            kid: text("kid"),
            claims,
            input: &token[..header.len() + 1 + payload.len()],
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| UNREADABLE)?,
        })
    }

    /// Verifies the signature with the key that `kid` names, or with every key of the type. Returns `None` if there is no such
    /// key.
    pub(super) fn verify(&self, provider: &Provider) -> Option<bool> {
        let alg: CoreJwsSigningAlgorithm = serde_json::from_value(Value::String(self.alg.clone())).ok()?;
        let kind = match alg {
            CoreJwsSigningAlgorithm::EdDsa => CoreJsonWebKeyType::OctetKeyPair,
            _ if self.alg.starts_with("ES") => CoreJsonWebKeyType::EllipticCurve,
            _ => CoreJsonWebKeyType::RSA,
        };
        let named = |key: &&SigningKey| match &self.kid {
            Some(kid) => key.key_id().is_some_and(|id| id.as_str() == kid),
            None => true,
        };
        let candidates = provider.keys.keys.keys().iter().filter(|key| *key.key_type() == kind).filter(named);
        let mut verified = None;
        for key in candidates {
            let is_good = key.verify_signature(&alg, self.input.as_bytes(), &self.signature).is_ok();
            verified = Some(verified.unwrap_or(false) || is_good);
        }
        verified
    }
}
