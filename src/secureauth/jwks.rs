//! A provider's signing keys (RFC 7517), with checks that the library leaves to its caller.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKeySet;
use serde_json::Value;

use super::signing_key::SigningKey;
use super::{ProviderError, json};

const MAX_KEYS: usize = 64;
/// NIST SP 800-131A disallows RSA keys below 2,048 bits. Keys above 4,096 bits make verification expensive.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The usable keys of a document.
#[derive(Clone, Debug)]
pub(super) struct SigningKeys {
    pub keys: JsonWebKeySet<SigningKey>,
    /// Keys that cannot verify a signature, as `kid: reason`. Encryption keys are not among them.
    pub skipped: Vec<String>,
}

/// Reads the usable signing keys. An unusable key is skipped (RFC 7517, section 5), so that it does not disable the others.
///
/// # Errors
/// The document is not a key set, publishes a private key, or has keys of which none is usable.
pub(super) fn parse(bytes: &[u8]) -> Result<SigningKeys, ProviderError> {
    let document = json::object(bytes).map_err(|_| ProviderError::InvalidResponse("jwks_malformed"))?;
    let listed =
        document.get("keys").and_then(Value::as_array).ok_or(ProviderError::InvalidResponse("jwks_malformed"))?;
    if listed.len() > MAX_KEYS {
        return Err(ProviderError::InvalidResponse("jwks_too_large"));
    }
    if listed.iter().any(is_private) {
        return Err(ProviderError::InvalidResponse("private_key_published"));
    }
    let (mut keys, mut skipped, mut first_reason) = (Vec::new(), Vec::new(), None);
    for listed in listed.iter().filter(|key| key.get("use").and_then(Value::as_str) != Some("enc")) {
        match signing_key(listed) {
            Ok(key) => keys.push(key),
            Err(reason) => {
                let kid = listed.get("kid").and_then(Value::as_str).unwrap_or("without kid");
                skipped.push(format!("{}: {reason}", kid.escape_debug().take(64).collect::<String>()));
                first_reason.get_or_insert(reason);
            }
        }
    }
    match first_reason {
        Some(reason) if keys.is_empty() => Err(ProviderError::InvalidResponse(reason)),
        _ => Ok(SigningKeys { keys: JsonWebKeySet::new(keys), skipped }),
    }
}

/// With a private or symmetric key in a public document, anyone can forge tokens.
fn is_private(key: &Value) -> bool {
    ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|member| key.get(member).is_some())
}

fn signing_key(key: &Value) -> Result<SigningKey, &'static str> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    if key.get("use").is_some_and(|usage| usage != "sig") {
        return Err("use_is_not_sig");
    }
    // RFC 7517, section 4.3
    if let Some(operations) = key.get("key_ops")
        && !operations.as_array().is_some_and(|listed| listed.iter().any(|operation| operation == "verify"))
    {
        return Err("key_ops_without_verify");
    }
    if text("kty") == Some("RSA") {
        check_rsa(key)?;
    }
    SigningKey::parse(key).ok_or("key_malformed")
}

fn check_rsa(key: &Value) -> Result<(), &'static str> {
    let number = |name: &str| {
        let encoded = key.get(name).and_then(Value::as_str)?;
        URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()
    };
    let (Some(n), Some(e)) = (number("n"), number("e")) else { return Err("key_malformed") };
    let exponent = e.iter().try_fold(0_u64, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)));
    if !RSA_BITS.contains(&bits(&n)) || !exponent.is_some_and(|e| e >= 65_537 && e % 2 == 1) {
        return Err("weak_key");
    }
    Ok(())
}

fn bits(big_endian: &[u8]) -> usize {
    let significant: Vec<u8> = big_endian.iter().copied().skip_while(|byte| *byte == 0).collect();
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(n_bytes: usize, e: &str) -> Result<SigningKeys, ProviderError> {
        let n = URL_SAFE_NO_PAD.encode(vec![0xff; n_bytes]);
        parse(format!(r#"{{"keys":[{{"kty":"RSA","kid":"1","n":"{n}","e":"{e}"}}]}}"#).as_bytes())
    }

    #[test]
    fn weak_and_oversized_keys_are_rejected() {
        assert!(set(256, "AQAB").is_ok());
        for (bytes, e) in [(64, "AQAB"), (128, "AQAB"), (2048, "AQAB"), (256, "AQ"), (256, "AQAC"), (256, "")] {
            assert!(set(bytes, e).is_err(), "{bytes} bytes, e {e}");
        }
    }

    #[test]
    fn private_keys_and_oversized_sets_are_rejected() {
        let private = br#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}]}"#;
        assert_eq!(parse(private).map(|_| ()), Err(ProviderError::InvalidResponse("private_key_published")));
        let oct = br#"{"keys":[{"kty":"oct","k":"AA"}]}"#;
        assert!(parse(oct).is_err());
        let flood = format!(r#"{{"keys":[{}]}}"#, vec![r#"{"kty":"EC"}"#; 65].join(","));
        assert_eq!(parse(flood.as_bytes()).map(|_| ()), Err(ProviderError::InvalidResponse("jwks_too_large")));
        for junk in ["", "null", "[]", "{\"keys\":7}", "\u{feff}{\"keys\":[]}"] {
            assert!(parse(junk.as_bytes()).is_err(), "{junk}");
        }
    }
}
