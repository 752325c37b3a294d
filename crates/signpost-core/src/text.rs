//! Hashes and masks of text.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// SHA-256 as unpadded base64url text (43 characters).
pub fn sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}

/// The first 64 bits of a SHA-256, for a stable and even distribution. Not for secrecy.
pub fn hash64(bytes: &[u8]) -> u64 {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref()[..8].iter().fold(0, |bits, b| (bits << 8) | u64::from(*b))
}

/// HMAC-SHA-256 (RFC 2104) as unpadded base64url text.
pub fn keyed_hash(key: &[u8], bytes: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, bytes))
}

/// A username or email address with its middle hidden, so that it can be recognised but not learned.
pub fn mask(text: &str) -> String {
    let (local, domain) = match text.split_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (text, None),
    };
    let hidden = mask_part(local);
    match domain {
        Some(domain) => format!("{hidden}@{}", mask_part(domain)),
        None => hidden,
    }
}

fn mask_part(text: &str) -> String {
    let count = text.chars().count();
    match (text.chars().next(), text.chars().last()) {
        (Some(first), Some(last)) if count > 4 => format!("{first}***{last}"),
        (Some(first), _) if count > 1 => format!("{first}***"),
        _ => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_hide_the_middle_and_the_length() {
        assert_eq!(mask("one-moved"), "o***d");
        assert_eq!(mask("ann@example.com"), "a***@e***m");
        assert_eq!(mask("x"), "***");
        assert_eq!(mask(""), "***");
    }
}
