//! Passwords of a user file. Hashes are kept as they are; plaintext passwords are hashed at once.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher};
use secrecy::{ExposeSecret, SecretString};

use signpost_core::Random;

/// bcrypt reads 72 bytes only, but other hashes read more.
pub(super) const MAX_PASSWORD_BYTES: usize = 1024;

/// Whether SecureAuth can import this hash: a PHC string or bcrypt.
pub(super) fn is_hash(text: &str) -> bool {
    let is_bcrypt = || {
        let mut parts = text.split('$').skip(1);
        let version = parts.next().is_some_and(|version| matches!(version, "2a" | "2b" | "2y"));
        let cost = parts.next().is_some_and(|cost| cost.parse::<u8>().is_ok_and(|cost| (4..=31).contains(&cost)));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/');
        version
            && cost
            && parts.next().is_some_and(|rest| rest.len() == 53 && rest.chars().all(plain))
            && parts.next().is_none()
    };
    let is_phc = || PasswordHash::new(text).is_ok_and(|hash| hash.salt.is_some() && hash.hash.is_some());
    text.len() <= 512 && (is_bcrypt() || is_phc())
}

/// Hashes a password by argon2id with a random salt, as a PHC string.
pub(super) fn hash(password: &SecretString, random: &Random) -> Result<String, std::io::Error> {
    let hashed = Argon2::default().hash_password_with_salt(password.expose_secret().as_bytes(), &random.bytes::<16>());
    hashed.map(|hash| hash.to_string()).map_err(|_| std::io::Error::other("a password could not be hashed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_hashes_are_recognized() {
        let own = hash(&SecretString::from("x".to_owned()), &Random::system()).unwrap();
        for good in [
            own.as_str(),
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            "$2y$10$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            "$pbkdf2-sha256$i=600000,l=32$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(is_hash(good), "{good}");
        }
        for bad in ["", "secret", "$2b$12$short", "$1$abc", "5f4dcc3b5aa765d61d8327deb882cf99", "$argon2id$", "$2b$99$"]
        {
            assert!(!is_hash(bad), "{bad}");
        }
    }
}
