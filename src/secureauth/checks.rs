//! Checks of an ID token that the library leaves to its caller (OpenID Connect Core, sections 2, 3.1.3.6, 3.1.3.7).
//!
//! The library has verified signature, issuer, audience, expiry and nonce before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::error::{invalid_response, log_detail};
use super::{ProviderError, json};
use signpost_core::Timestamp;

/// Accepted clock skew, in seconds.
pub(super) const LEEWAY: i64 = 60;
/// The difference of clocks from which operators are warned, in seconds.
pub(super) const DRIFT: i64 = 60;
/// The maximum age of a token by its `iat`, in seconds.
const MAX_AGE: i64 = 600;
/// In seconds
const MAX_LIFETIME: i64 = 24 * 3600;

/// The payload of a token whose signature has been verified.
pub(super) fn payload(id_token: &str) -> Result<Map<String, Value>, ProviderError> {
    let encoded = id_token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| ProviderError::InvalidResponse("id_token_malformed"))?;
    // RFC 7519, section 4: claim names are unique.
    json::object(&bytes).map_err(|_| ProviderError::InvalidResponse("id_token_malformed"))
}

pub(super) fn check(claims: &Map<String, Value>, client_id: &str, now: Timestamp) -> Result<(), ProviderError> {
    let now = now.seconds();
    let number =
        |name| claims.get(name).map(|value| seconds(value).ok_or(ProviderError::InvalidResponse("invalid_time_claim")));
    let required = |name| number(name).unwrap_or(Err(ProviderError::InvalidResponse("missing_time_claim")));
    if required("exp")? > now + MAX_LIFETIME {
        return Err(ProviderError::InvalidResponse("exp_too_far_ahead"));
    }
    let issued_at = required("iat")?;
    let clocks = |claim: &str, at: i64| format!("{claim} is {at}, our clock says {now}");
    if issued_at > now + LEEWAY {
        return Err(invalid_response("iat_in_future", &clocks("iat", issued_at)));
    }
    if issued_at < now - MAX_AGE {
        return Err(invalid_response("iat_too_old", &clocks("iat", issued_at)));
    }
    let in_future = |name| number(name).transpose().map(|at| at.filter(|at| *at > now + LEEWAY));
    if let Some(at) = in_future("auth_time")? {
        return Err(invalid_response("auth_time_in_future", &clocks("auth_time", at)));
    }
    if let Some(at) = in_future("nbf")? {
        return Err(invalid_response("nbf_in_future", &clocks("nbf", at)));
    }
    if let Some(azp) = claims.get("azp").filter(|azp| azp.as_str() != Some(client_id)) {
        return Err(invalid_response("azp_mismatch", &format!("azp is {azp}, the client id is {client_id:?}")));
    }
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let printable = subject.bytes().all(|b| (0x20..0x7f).contains(&b)) && subject.trim() == subject;
    if !(1..=255).contains(&subject.len()) || !printable {
        return Err(ProviderError::InvalidResponse("invalid_sub"));
    }
    Ok(())
}

/// Checks `auth_time` and `acr` against the request (OpenID Connect Core, sections 3.1.3.7 and 5.5.1.1).
pub(super) fn check_authorization_params(
    claims: &Map<String, Value>,
    authorization_params: &super::AuthorizationParams,
    now: Timestamp,
) -> Result<(), ProviderError> {
    let auth_time = claims.get("auth_time").and_then(seconds);
    let is_stale = |max_age: &u32| auth_time.is_none_or(|at| now.seconds() - at > i64::from(*max_age) + LEEWAY);
    let requested = &authorization_params.acr_values;
    let acr = claims.get("acr").and_then(Value::as_str).unwrap_or_default();
    let detail = if let Some(max_age) = authorization_params.max_age.filter(is_stale) {
        let at = claims.get("auth_time").unwrap_or(&Value::Null);
        format!("auth_time is {at}, our clock says {}, oidc.max_age is {max_age}", now.seconds())
    } else if !requested.is_empty() && !requested.iter().any(|value| value == acr) {
        format!("acr is {acr:?}, oidc.acr_values are {requested:?}")
    } else {
        return Ok(());
    };
    log_detail("reauthentication_required", &detail);
    Err(ProviderError::Rejected("reauthentication_required"))
}

/// How far the provider's clock is ahead of ours by `iat`, in seconds: the token has just been issued. `None`: too little to
/// matter.
pub(super) fn clock_drift(claims: &Map<String, Value>, now: Timestamp) -> Option<i64> {
    let drift = claims.get("iat").and_then(seconds)? - now.seconds();
    (drift.abs() >= DRIFT).then_some(drift)
}

/// A NumericDate (RFC 7519, section 2) in seconds. Some providers send a fraction.
pub(super) fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let float = value.as_f64()?;
        // An f64 is not precise to the second beyond this.
        (float.abs() < 9e15).then_some(float as i64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn checked(change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), ProviderError> {
        let mut claims =
            json!({"iss": "i", "aud": "c", "sub": "s1", "exp": NOW + 300, "iat": NOW}).as_object().cloned().unwrap();
        change(&mut claims);
        check(&claims, "c", Timestamp::from_millis(NOW * 1000))
    }

    #[test]
    fn a_minimal_token_is_accepted() {
        assert_eq!(checked(|_| {}), Ok(()));
        assert_eq!(checked(|c| drop(c.insert("azp".into(), json!("c")))), Ok(()));
        for name in ["nbf", "iat", "auth_time"] {
            assert_eq!(checked(|c| drop(c.insert(name.into(), json!(NOW + 59)))), Ok(()));
        }
        assert_eq!(checked(|c| drop(c.insert("iat".into(), json!(NOW as f64 - 0.5)))), Ok(()));
    }

    #[test]
    fn claims_the_library_ignores_are_checked() {
        for (name, value) in [
            ("nbf", json!(NOW + 3600)),
            ("iat", json!(NOW - 7 * 86_400)),
            ("iat", json!(NOW + 10 * 365 * 86_400)),
            ("iat", json!(NOW + 61)),
            ("auth_time", json!(NOW + 61)),
            ("auth_time", json!("now")),
            ("iat", json!("now")),
            ("exp", json!(NOW + 10 * 365 * 86_400)),
            ("exp", json!(1e300)),
            ("azp", json!("another")),
            ("azp", json!(["c"])),
            ("sub", json!("")),
            ("sub", json!("x".repeat(256))),
            ("sub", json!("a\0b")),
            ("sub", json!("a\nb")),
            ("sub", json!(" a")),
            ("sub", json!("\u{202e}a")),
            ("sub", json!(7)),
        ] {
            let result = checked(|claims| drop(claims.insert(name.to_owned(), value.clone())));
            assert!(result.is_err(), "{name} = {value} was accepted");
        }
        for name in ["exp", "iat", "sub"] {
            assert!(checked(|claims| drop(claims.remove(name))).is_err(), "without {name}");
        }
    }
}
