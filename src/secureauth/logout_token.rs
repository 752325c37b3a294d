//! Logout tokens (OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyType, CoreJwsSigningAlgorithm};
use serde_json::{Map, Value};

use super::{Provider, ProviderError, Providers, Registration, checks};
use signpost_core::Timestamp;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The maximum age of a token by its `iat`, in seconds.
const MAX_AGE: i64 = 600;
const MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// A logout token that passed every check. The caller checks that it was not used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// The user whose sessions end.
    pub subject: Option<String>,
    /// The provider's session that ends.
    pub sid: Option<String>,
    /// `jti`. The token is single-use.
    pub id: String,
}

impl Providers {
    /// Checks a logout token of a registration's issuer.
    pub async fn logout_token(&self, registration: &Registration, token: &str) -> Result<LogoutToken, ProviderError> {
        let jws = Jws::parse(token)?;
        // The cheap checks come before the signature.
        let read = check(&jws.claims, registration, self.clock().now())?;
        if !registration.id_token_algs.contains(&jws.alg) {
            return Err(ProviderError::InvalidResponse("invalid_algorithm"));
        }
        let (provider, _) = self.get(registration).await?;
        match jws.verify(&provider) {
            None => jws.verify(&*self.with_refetched_keys(registration).await?),
            known => known,
        }
        .filter(|good| *good)
        .map(|_| read)
        .ok_or(ProviderError::InvalidResponse("invalid_signature"))
    }
}

/// A signed token, taken apart (RFC 7515, section 3.1).
struct Jws<'t> {
    alg: String,
    kid: Option<String>,
    claims: Map<String, Value>,
    input: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    fn parse(token: &'t str) -> Result<Self, ProviderError> {
        const UNREADABLE: ProviderError = ProviderError::InvalidResponse("logout_token_malformed");
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { return Err(UNREADABLE) };
        let object = |part: &str| -> Result<Map<String, Value>, ProviderError> {
            let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| UNREADABLE)?;
            serde_json::from_slice(&bytes).map_err(|_| UNREADABLE)
        };
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(UNREADABLE);
        }
        let (header_members, claims) = (object(header)?, object(payload)?);
        let text = |name: &str| header_members.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = text("typ").map(|kind| kind.to_ascii_lowercase());
        let is_valid = matches!(kind.as_deref(), None | Some("jwt" | "logout+jwt" | "application/logout+jwt"));
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
    fn verify(&self, provider: &Provider) -> Option<bool> {
        let alg: CoreJwsSigningAlgorithm = serde_json::from_value(Value::String(self.alg.clone())).ok()?;
        let kind = match alg {
            CoreJwsSigningAlgorithm::EdDsa => CoreJsonWebKeyType::OctetKeyPair,
            _ if self.alg.starts_with("ES") => CoreJsonWebKeyType::EllipticCurve,
            _ => CoreJsonWebKeyType::RSA,
        };
        let named = |key: &&CoreJsonWebKey| match &self.kid {
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

fn check(
    claims: &Map<String, Value>,
    registration: &Registration,
    now: Timestamp,
) -> Result<LogoutToken, ProviderError> {
    let rejected = ProviderError::InvalidResponse;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(registration.issuer.as_str()) {
        return Err(rejected("invalid_issuer"));
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::String(one)) => *one == registration.client_id,
        Some(Value::Array(several)) => matches!(&several[..], [one] if *one == registration.client_id),
        _ => false,
    };
    if !is_for_us {
        return Err(rejected("invalid_audience"));
    }
    let seconds = |name: &str| claims.get(name).and_then(checks::seconds);
    let now = now.seconds();
    if seconds("iat").is_none_or(|at| at > now + checks::LEEWAY || at < now - MAX_AGE) {
        return Err(rejected("iat_out_of_window"));
    }
    // Providers of earlier drafts send none.
    if claims.contains_key("exp") && seconds("exp").is_none_or(|end| end <= now - checks::LEEWAY) {
        return Err(rejected("expired"));
    }
    if !claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object) {
        return Err(rejected("missing_logout_event"));
    }
    if claims.contains_key("nonce") {
        return Err(rejected("nonce_in_logout_token"));
    }
    let is_valid = |text: &&str| (1..=255).contains(&text.len());
    let id = text("jti").filter(is_valid).ok_or(rejected("missing_jti"))?;
    let (subject, sid) = (text("sub").filter(is_valid), text("sid").filter(is_valid));
    let is_invalid = |name: &str, read: Option<&str>| claims.contains_key(name) && read.is_none();
    if is_invalid("sub", subject) || is_invalid("sid", sid) || (subject.is_none() && sid.is_none()) {
        return Err(rejected("subject_missing"));
    }
    Ok(LogoutToken { subject: subject.map(str::to_owned), sid: sid.map(str::to_owned), id: id.to_owned() })
}
