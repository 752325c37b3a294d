//! A provider's signing key, parsed once and verified by the library that does all our cryptography. The verification that
//! `openidconnect` brings takes nine times as long for RSA.

use std::sync::Arc;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaParameters,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyType, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey, JsonWebKeyAlgorithm, JsonWebKeyId, SignatureVerificationError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// A key of a JWK set (RFC 7517). A clone is one reference count.
#[derive(Clone)]
pub(super) struct SigningKey(Arc<Parsed>);

struct Parsed {
    key: CoreJsonWebKey,
    /// The algorithms of the key (RFC 7518, section 3.1), by their names: the one that it names, or those of its type.
    verifiers: Vec<(&'static str, ParsedPublicKey)>,
}

const RSA: [(&str, &RsaParameters); 6] = [
    ("RS256", &signature::RSA_PKCS1_2048_8192_SHA256),
    ("RS384", &signature::RSA_PKCS1_2048_8192_SHA384),
    ("RS512", &signature::RSA_PKCS1_2048_8192_SHA512),
    ("PS256", &signature::RSA_PSS_2048_8192_SHA256),
    ("PS384", &signature::RSA_PSS_2048_8192_SHA384),
    ("PS512", &signature::RSA_PSS_2048_8192_SHA512),
];

impl SigningKey {
    /// Returns `None` if a member is missing or malformed.
    pub(super) fn parse(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let number = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok();
        let point = || Some([vec![4], number("x")?, number("y")?].concat());
        let mut verifiers = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                // aws-lc rejects leading zeros.
                let significant =
                    |name| Some(number(name)?.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>());
                let components = PublicKeyComponents { n: significant("n")?, e: significant("e")? };
                let parsed = |(alg, parameters)| Some((alg, components.to_parsed_public_key(parameters).ok()?));
                RSA.into_iter().map(parsed).collect::<Option<Vec<_>>>()?
            }
            (Some("EC"), Some("P-256")) => {
                vec![("ES256", ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()?).ok()?)]
            }
            (Some("EC"), Some("P-384")) => {
                vec![("ES384", ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()?).ok()?)]
            }
            (Some("OKP"), Some("Ed25519")) => vec![("EdDSA", ParsedPublicKey::new(&ED25519, number("x")?).ok()?)],
            _ => Vec::new(),
        };
        if verifiers.iter().any(|(alg, _)| text("alg") == Some(alg)) {
            verifiers.retain(|(alg, _)| text("alg") == Some(alg));
        }
        let key = serde_json::from_value(key.clone()).ok()?;
        Some(Self(Arc::new(Parsed { key, verifiers })))
    }

    pub(super) fn algorithms(&self) -> impl Iterator<Item = &'static str> {
        self.0.verifiers.iter().map(|(alg, _)| *alg)
    }
}

impl JsonWebKey for SigningKey {
    type KeyUse = CoreJsonWebKeyUse;
    type SigningAlgorithm = CoreJwsSigningAlgorithm;

    fn key_id(&self) -> Option<&JsonWebKeyId> {
        self.0.key.key_id()
    }

    fn key_type(&self) -> &CoreJsonWebKeyType {
        self.0.key.key_type()
    }

    fn key_use(&self) -> Option<&CoreJsonWebKeyUse> {
        self.0.key.key_use()
    }

    fn signing_alg(&self) -> JsonWebKeyAlgorithm<&CoreJwsSigningAlgorithm> {
        self.0.key.signing_alg()
    }

    /// A key that no algorithm allows: shared secrets verify nothing here.
    fn new_symmetric(key: Vec<u8>) -> Self {
        Self(Arc::new(Parsed { key: CoreJsonWebKey::new_symmetric(key), verifiers: Vec::new() }))
    }

    fn verify_signature(
        &self,
        alg: &CoreJwsSigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureVerificationError> {
        let unsupported = || SignatureVerificationError::UnsupportedAlg("not an algorithm of the key".to_owned());
        let name = serde_json::to_value(alg).map_err(|_| unsupported())?;
        let (_, key) = self.0.verifiers.iter().find(|(alg, _)| name == *alg).ok_or_else(unsupported)?;
        let rejected = |_| SignatureVerificationError::CryptoError("the signature is not valid".to_owned());
        key.verify_sig(message, signature).map_err(rejected)
    }

    fn hash_bytes(&self, bytes: &[u8], alg: &CoreJwsSigningAlgorithm) -> Result<Vec<u8>, String> {
        self.0.key.hash_bytes(bytes, alg)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.key.fmt(f)
    }
}

impl Serialize for SigningKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.key.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("malformed key"))
    }
}
