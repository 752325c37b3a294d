//! Password hashes: Argon2id as PHC strings. Verifies bcrypt as well.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use signpost_core::Random;

/// An Argon2id hash with a new salt, as a PHC string.
#[expect(clippy::expect_used, reason = "argon2 refuses only parameters and lengths that are not ours")]
pub fn hash_password(password: &str, random: &Random) -> String {
    let salt: [u8; 16] = random.bytes();
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).expect("argon2 hashes");
    hash.to_string()
}

/// Verifies a password on a thread that may block.
pub(crate) async fn verify(hash: &Arc<str>, password: &str) -> bool {
    let (hash, password) = (Arc::clone(hash), password.to_owned());
    let check = move || {
        if hash.starts_with("$2") {
            bcrypt::verify(password, &hash).unwrap_or(false)
        } else {
            Argon2::default().verify_password(password.as_bytes(), &*hash).is_ok()
        }
    };
    tokio::task::spawn_blocking(check).await.unwrap_or(false)
}
