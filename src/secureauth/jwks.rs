//! A provider's signing keys (RFC 7517), with checks that the library leaves to its caller.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::CoreJsonWebKeySet;
use serde_json::Value;

use super::ProviderError;

const MAX_KEYS: usize = 64;
/// NIST SP 800-131A disallows RSA keys below 2,048 bits. Keys above 4,096 bits make verification expensive.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

pub(super) fn parse(bytes: &[u8]) -> Result<CoreJsonWebKeySet, ProviderError> {
    let mut document: Value =
        serde_json::from_slice(bytes).map_err(|_| ProviderError::InvalidResponse("jwks_malformed"))?;
    let keys = document
        .get_mut("keys")
        .and_then(Value::as_array_mut)
        .ok_or(ProviderError::InvalidResponse("jwks_malformed"))?;
    if keys.len() > MAX_KEYS {
        return Err(ProviderError::InvalidResponse("jwks_too_large"));
    }
    keys.retain(|key| key.get("use").and_then(Value::as_str) != Some("enc"));
    for key in keys.iter() {
        check(key)?;
    }
    serde_json::from_value(document).map_err(|_| ProviderError::InvalidResponse("jwks_malformed"))
}

fn check(key: &Value) -> Result<(), ProviderError> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    // With a private or symmetric key in a public document, anyone can forge tokens.
    if ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|member| key.get(member).is_some()) {
        return Err(ProviderError::InvalidResponse("private_key_published"));
    }
    if text("kty") != Some("RSA") {
        return Ok(());
    }
    let number = |name| text(name).and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok());
    let (Some(n), Some(e)) = (number("n"), number("e")) else {
        return Err(ProviderError::InvalidResponse("jwks_malformed"));
    };
    let exponent = e.iter().try_fold(0_u64, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)));
    if !RSA_BITS.contains(&bits(&n)) || !exponent.is_some_and(|e| e >= 65_537 && e % 2 == 1) {
        return Err(ProviderError::InvalidResponse("weak_key"));
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

    fn set(n_bytes: usize, e: &str) -> Result<CoreJsonWebKeySet, ProviderError> {
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
