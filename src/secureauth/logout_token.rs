//! Logout tokens (OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6).

use serde_json::{Map, Value};

use super::error::invalid_response;
use super::jws::Jws;
use super::{ProviderError, Providers, Registration, checks};
use signpost_core::Timestamp;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The maximum age of a token by its `iat`, in seconds.
const MAX_AGE: i64 = 600;
const TOKEN_TYPES: [&str; 3] = ["jwt", "logout+jwt", "application/logout+jwt"];

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
        let jws = Jws::parse(token, &TOKEN_TYPES)?;
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

fn check(
    claims: &Map<String, Value>,
    registration: &Registration,
    now: Timestamp,
) -> Result<LogoutToken, ProviderError> {
    let rejected = ProviderError::InvalidResponse;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let shown = |name: &str| claims.get(name).unwrap_or(&Value::Null);
    if text("iss") != Some(registration.issuer.as_str()) {
        let detail = format!("iss is {}, oidc.issuer is {:?}", shown("iss"), registration.issuer);
        return Err(invalid_response("invalid_issuer", &detail));
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::String(one)) => *one == registration.client_id,
        Some(Value::Array(several)) => matches!(&several[..], [one] if *one == registration.client_id),
        _ => false,
    };
    if !is_for_us {
        let detail = format!("aud is {}, the client id is {:?}", shown("aud"), registration.client_id);
        return Err(invalid_response("invalid_audience", &detail));
    }
    let seconds = |name: &str| claims.get(name).and_then(checks::seconds);
    let now = now.seconds();
    if seconds("iat").is_none_or(|at| at > now + checks::LEEWAY || at < now - MAX_AGE) {
        let detail = format!("iat is {}, our clock says {now}", shown("iat"));
        return Err(invalid_response("iat_out_of_window", &detail));
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
