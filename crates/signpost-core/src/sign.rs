//! Client assertions: JSON Web Tokens signed with ES256 (RFC 7515, RFC 7518 section 3.4).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Random;
use super::text::sha256;

#[derive(Debug)]
pub struct SigningKey {
    pair: EcdsaKeyPair,
    /// The public key (RFC 7517) with its thumbprint (RFC 7638) as `kid`.
    jwk: Value,
}

impl SigningKey {
    /// `None`: the scalar is not a valid P-256 private key (one in 2^32).
    pub(super) fn from_scalar(scalar: &[u8; 32]) -> Option<Self> {
        let public = PrivateKey::from_private_key(&ECDH_P256, scalar).ok()?.compute_public_key().ok()?;
        // SEC 1, section 2.3.3: 4, x, y.
        let point = public.as_ref();
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, scalar, point).ok()?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(point.get(1..33)?), URL_SAFE_NO_PAD.encode(point.get(33..65)?));
        let kid = sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig" });
        Some(Self { pair, jwk })
    }

    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    #[expect(clippy::expect_used, reason = "signing fails only when the operating system has no randomness to give")]
    #[expect(clippy::disallowed_methods, reason = "a signature nonce must never be injected")]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.jwk["kid"] });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(&header), encode(claims));
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signature = self.pair.sign(&random, input.as_bytes()).expect("the operating system gives randomness");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A client assertion (OpenID Connect Core, section 9; RFC 7523, section 3). It is valid for one minute and once.
pub fn client_assertion(
    key: &SigningKey,
    client_id: &str,
    audience: &str,
    now: super::Timestamp,
    random: &Random,
) -> String {
    let now = now.seconds();
    key.sign(&json!({
        "iss": client_id, "sub": client_id, "aud": audience,
        "iat": now, "exp": now + 60, "jti": random.token::<16>(),
    }))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn signatures_verify_with_the_published_key() {
        let key = SigningKey::from_scalar(&[7; 32]).unwrap();
        let token = key.sign(&json!({ "a": 1 }));
        let (input, signature) = token.rsplit_once('.').unwrap();
        let part = |name: &str| URL_SAFE_NO_PAD.decode(key.jwk()[name].as_str().unwrap()).unwrap();
        let point = [vec![4], part("x"), part("y")].concat();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        public.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        assert!(public.verify(b"other", &URL_SAFE_NO_PAD.decode(signature).unwrap()).is_err());
        assert!(SigningKey::from_scalar(&[0; 32]).is_none());
    }
}
