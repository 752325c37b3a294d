//! Sealed tokens: authenticated encryption with a key ring.
//!
//! The first key of the ring seals and every key opens, so keys can be rotated while tokens are in use. The ring of a running
//! process can be replaced. Each token has its own AES-256-GCM key (NIST SP 800-38D), which HKDF (RFC 5869) derives from the
//! ring's key, the purpose and a random salt. So random nonces are safe, and a token opens only for its purpose.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::text::sha256;
use super::{Random, SigningKey};

const VERSION: u8 = 1;
const SALT_LEN: usize = 16;
const KEY_ID_LEN: usize = 4;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + SALT_LEN + NONCE_LEN;

/// What a token is for. A token opens only for its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The username on the link from the bookmark notice to `/b/{slug}`.
    LoginHint,
    /// The OAuth `state`: the routing part of a sign-in.
    OAuthState,
    /// The security part of a sign-in, in a short-lived cookie.
    AuthorizationRequest,
    LegacyHandoff,
    PortalHandoff,
    /// Opens the recovery page and nothing else.
    Recovery,
    /// Values encrypted in the database, such as client secrets and ID tokens.
    Storage,
    /// The `state` of a logout at the identity provider.
    Logout,
    /// An error page, so that it can be shown in another language.
    ErrorPage,
    /// A `form_post` response, on its way to a same-site request that has our cookies.
    FormPostResponse,
    /// Device cookies, such as the remembered billers.
    Device,
    /// The cursor of a paginated list.
    Cursor,
    /// A simulation of the console, for its link.
    Simulation,
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::LoginHint => "login-hint",
            Self::OAuthState => "oauth-state",
            Self::AuthorizationRequest => "authorization-request",
            Self::LegacyHandoff => "legacy-handoff",
            Self::PortalHandoff => "portal-handoff",
            Self::Recovery => "recovery",
            Self::Storage => "storage",
            Self::Logout => "logout",
            Self::ErrorPage => "error-page",
            Self::FormPostResponse => "form-post-response",
            Self::Device => "device",
            Self::Cursor => "cursor",
            Self::Simulation => "simulation",
        }
    }
}

/// One master key of the ring.
#[derive(Clone)]
struct MasterKey {
    id: [u8; KEY_ID_LEN],
    prk: Prk,
    signing: Arc<SigningKey>,
}

/// The keys that seal and open tokens and sign client assertions. Clones share one ring.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<RwLock<Arc<[MasterKey]>>>,
    random: Random,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys)", self.keys().len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    #[error("at least one key is needed")]
    Empty,
    #[error("a key is 32 random bytes in base64, such as `openssl rand -base64 32` prints")]
    InvalidKey,
    /// A key of one repeated byte, as in examples.
    #[error("a key of one repeated byte is no secret")]
    Weak,
}

/// The token was not issued here, was changed, or its key is no longer in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token of ours")]
pub struct InvalidToken;

struct DerivedLen(usize);

impl KeyType for DerivedLen {
    fn len(&self) -> usize {
        self.0
    }
}

impl KeyRing {
    /// The first key seals.
    pub fn from_base64<'k>(keys: impl IntoIterator<Item = &'k str>, random: Random) -> Result<Self, KeyRingError> {
        let keys = keys
            .into_iter()
            .map(|text| {
                let text = text.trim();
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .or_else(|_| URL_SAFE_NO_PAD.decode(text))
                    .map_err(|_| KeyRingError::InvalidKey)?;
                let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyRingError::InvalidKey)?;
                if bytes.iter().all(|b| *b == bytes[0]) {
                    return Err(KeyRingError::Weak);
                }
                Ok(MasterKey::new(&bytes))
            })
            .collect::<Result<Arc<[_]>, _>>()?;
        if keys.is_empty() {
            return Err(KeyRingError::Empty);
        }
        Ok(Self { keys: Arc::new(RwLock::new(keys)), random })
    }

    #[cfg(test)]
    fn ephemeral(random: Random) -> Self {
        Self { keys: Arc::new(RwLock::new([MasterKey::new(&random.bytes())].into())), random }
    }

    fn keys(&self) -> Arc<[MasterKey]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the keys in every clone. Returns whether they changed.
    pub fn replace(&self, other: &Self) -> bool {
        let new = other.keys();
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let differs = !keys.iter().map(|key| key.id).eq(new.iter().map(|key| key.id));
        *keys = new;
        differs
    }

    /// The signing key of the key that seals.
    pub fn signing_key(&self) -> Arc<SigningKey> {
        Arc::clone(&self.keys()[0].signing)
    }

    /// The public signing keys as a JWK Set (RFC 7517), for every key of the ring.
    pub fn public_keys(&self) -> serde_json::Value {
        let keys: Vec<_> = self.keys().iter().map(|key| key.signing.jwk().clone()).collect();
        serde_json::json!({ "keys": keys })
    }

    /// Seals a value. `context`, such as a cookie's name, binds the token to its place. Opening requires the same context.
    pub fn seal(&self, purpose: Purpose, context: &str, value: &impl Serialize) -> String {
        self.seal_bytes(purpose, context, json(value))
    }

    /// Pads the value, so that every token with the same `padded_to` has the same length. A longer value keeps its length.
    pub fn seal_padded(&self, purpose: Purpose, context: &str, value: &impl Serialize, padded_to: usize) -> String {
        let mut plain = json(value);
        // JSON allows white space after the value.
        if plain.len() < padded_to {
            plain.resize(padded_to, b' ');
        }
        self.seal_bytes(purpose, context, plain)
    }

    /// The error does not tell the cause.
    pub fn open<T: DeserializeOwned>(&self, purpose: Purpose, context: &str, token: &str) -> Result<T, InvalidToken> {
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidToken)?;
        if bytes.len() < HEADER_LEN || bytes[0] != VERSION {
            return Err(InvalidToken);
        }
        let (header, sealed) = bytes.split_at_mut(HEADER_LEN);
        let (key_id, rest) = header[1..].split_at(KEY_ID_LEN);
        let (salt, nonce) = rest.split_at(SALT_LEN);
        let keys = self.keys();
        let master = keys.iter().find(|key| key.id == key_id).ok_or(InvalidToken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| InvalidToken)?;
        let plain = master
            .message_key(purpose, salt)
            .open_in_place(nonce, Aad::from(context.as_bytes()), sealed)
            .map_err(|_| InvalidToken)?;
        serde_json::from_slice(plain).map_err(|_| InvalidToken)
    }

    /// A 32-byte key for another use, such as keyed hashes and reference codes. It is derived from the last (oldest) key of
    /// the ring, so a new first key does not change it.
    #[expect(clippy::expect_used, reason = "a ring is never empty, and 32 bytes is a length HKDF-SHA-256 can give")]
    pub fn derive_key(&self, label: &str) -> [u8; 32] {
        let mut out = [0; 32];
        let keys = self.keys();
        let oldest = keys.last().expect("a ring is never empty");
        oldest
            .prk
            .expand(&[b"signpost derived ", label.as_bytes()], DerivedLen(32))
            .and_then(|okm| okm.fill(&mut out))
            .expect("HKDF gives 32 bytes");
        out
    }

    #[expect(clippy::expect_used, reason = "the nonce has its length, and AES-GCM fails only beyond 64 GiB")]
    fn seal_bytes(&self, purpose: Purpose, context: &str, mut bytes: Vec<u8>) -> String {
        let keys = self.keys();
        let master = &keys[0];
        let random: [u8; SALT_LEN + NONCE_LEN] = self.random.bytes();
        let (salt, nonce) = random.split_at(SALT_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the nonce has its length");
        master
            .message_key(purpose, salt)
            .seal_in_place_append_tag(nonce, Aad::from(context.as_bytes()), &mut bytes)
            .expect("AES-GCM seals");
        let mut token = Vec::with_capacity(HEADER_LEN + bytes.len());
        token.push(VERSION);
        token.extend_from_slice(&master.id);
        token.extend_from_slice(&random);
        token.extend_from_slice(&bytes);
        URL_SAFE_NO_PAD.encode(token)
    }
}

impl MasterKey {
    fn new(bytes: &[u8; 32]) -> Self {
        let hash = sha256(bytes);
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&hash.as_bytes()[..KEY_ID_LEN]);
        let prk = Salt::new(HKDF_SHA256, b"signpost key ring").extract(bytes);
        Self { id, signing: Arc::new(signing_key(&prk)), prk }
    }

    #[expect(clippy::expect_used, reason = "32 bytes is a length HKDF-SHA-256 can give, and an AES-256 key")]
    fn message_key(&self, purpose: Purpose, salt: &[u8]) -> LessSafeKey {
        let mut key = [0; 32];
        self.prk
            .expand(&[b"signpost seal ", purpose.label().as_bytes(), b" ", salt], DerivedLen(32))
            .and_then(|okm| okm.fill(&mut key))
            .expect("HKDF gives 32 bytes");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("an AES-256 key has 32 bytes"))
    }
}

#[expect(clippy::expect_used, reason = "32 bytes is a length HKDF-SHA-256 can give, and nearly every scalar is a key")]
fn signing_key(prk: &Prk) -> SigningKey {
    (0_u8..=255)
        .find_map(|attempt| {
            let mut scalar = [0; 32];
            prk.expand(&[b"signpost signing key", &[attempt]], DerivedLen(32))
                .and_then(|okm| okm.fill(&mut scalar))
                .expect("HKDF gives 32 bytes");
            SigningKey::from_scalar(&scalar)
        })
        .expect("one of 256 scalars is a key")
}

#[expect(clippy::expect_used, reason = "our own token structs always serialise")]
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("token structs serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> KeyRing {
        KeyRing::ephemeral(Random::system())
    }

    #[test]
    fn a_token_opens_only_for_its_purpose_and_context() {
        let ring = ring();
        let token = ring.seal(Purpose::LoginHint, "a", &"value");
        assert_eq!(ring.open::<String>(Purpose::LoginHint, "a", &token).as_deref(), Ok("value"));
        assert!(ring.open::<String>(Purpose::OAuthState, "a", &token).is_err());
        assert!(ring.open::<String>(Purpose::LoginHint, "b", &token).is_err());
        assert!(super::tests::ring().open::<String>(Purpose::LoginHint, "a", &token).is_err());
    }

    #[test]
    fn tampered_tokens_are_rejected() {
        let ring = ring();
        let token = ring.seal(Purpose::OAuthState, "", &"v");
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(ring.open::<String>(Purpose::OAuthState, "", &changed).is_err(), "at {position}");
            assert!(ring.open::<String>(Purpose::OAuthState, "", &token[..position]).is_err());
        }
    }

    #[test]
    fn padded_tokens_have_equal_length() {
        let ring = ring();
        let lengths: std::collections::BTreeSet<usize> = ["", "x", &"y".repeat(254)]
            .into_iter()
            .map(|name| ring.seal_padded(Purpose::LegacyHandoff, "", &name, 1024).len())
            .collect();
        assert_eq!(lengths.len(), 1);
    }

    #[test]
    fn an_older_key_still_opens_after_rotation() {
        let (old, new) =
            ("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let before = KeyRing::from_base64([old], Random::system()).unwrap();
        let after = KeyRing::from_base64([new, old], Random::system()).unwrap();
        let token = before.seal(Purpose::OAuthState, "", &7);
        assert_eq!(after.open::<i32>(Purpose::OAuthState, "", &token), Ok(7));
        assert_eq!(before.derive_key("x"), after.derive_key("x"));
        assert!(before.open::<i32>(Purpose::OAuthState, "", &after.seal(Purpose::OAuthState, "", &7)).is_err());
    }

    #[test]
    fn short_and_weak_keys_are_rejected() {
        let make = |text: &str| KeyRing::from_base64([text], Random::system()).map(|_| ());
        assert_eq!(make("c2hvcnQ="), Err(KeyRingError::InvalidKey));
        assert_eq!(make(&base64::engine::general_purpose::STANDARD.encode([0; 32])), Err(KeyRingError::Weak));
        assert_eq!(KeyRing::from_base64([], Random::system()).map(|_| ()), Err(KeyRingError::Empty));
    }
}
