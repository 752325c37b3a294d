//! Parts of OAuth 2.0 that need no state: PKCE and client credentials.

use std::time::Duration;

use aws_lc_rs::constant_time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use signpost_core::text::sha256;

/// Lifetime of access and ID tokens.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// Whether a verifier hashes to the challenge (RFC 7636, section 4.6, S256).
pub(crate) fn verify_pkce(verifier: &str, challenge: &str) -> bool {
    is_valid_pkce_value(verifier) && constant_time_eq(&sha256(verifier.as_bytes()), challenge)
}

/// Whether a text has the form of a verifier or a challenge (RFC 7636, sections 4.1 and 4.2).
pub(crate) fn is_valid_pkce_value(text: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// Client id and secret of an `Authorization: Basic` value: form-encoded, then base64 (RFC 6749, section 2.3.1).
pub(crate) fn basic_credentials(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}

/// Decodes one form-encoded value, in which `=` and `&` are plain characters.
fn form_decode(text: &str) -> String {
    let guarded = text.replace('&', "%26");
    let pair = format!("v={guarded}");
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Compares secrets in constant time.
pub(crate) fn constant_time_eq(left: &str, right: &str) -> bool {
    constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn pkce_matches_the_rfc_7636_example() {
        assert!(verify_pkce(VERIFIER, CHALLENGE));
        assert!(!verify_pkce(&VERIFIER.replace('d', "e"), CHALLENGE));
        assert!(!verify_pkce(CHALLENGE, CHALLENGE));
        assert!(!verify_pkce("", &sha256(b"")), "a verifier has 43 characters or more");
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        let header = |plain: &str| format!("Basic {}", STANDARD.encode(plain));
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(basic_credentials(&header("acme:s3cret")), pair("acme", "s3cret"));
        assert_eq!(basic_credentials(&header("a%3Ab+c:x%2By%25:z")), pair("a:b c", "x+y%:z"));
        assert_eq!(basic_credentials(&header("acme:a=b&c==")), pair("acme", "a=b&c=="));
        assert_eq!(basic_credentials(&header("no colon")), None);
        assert_eq!(basic_credentials("Bearer abc"), None);
        assert_eq!(basic_credentials("Basic !"), None);
    }
}
