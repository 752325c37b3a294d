//! Usernames as typed, and the normalised key of the directory.
//!
//! A username is one or more parts separated by spaces (RFC 8265, section 3.5). The `UsernameCaseMapped` profile (section 3.3)
//! is enforced on each part, and one space joins the parts. Look-alike letters of other scripts stay distinct.

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::Profile;
use serde::Deserialize;

/// The maximum length in bytes of UTF-8, typed or normalised.
pub const MAX_BYTES: usize = 254;

/// A normalised username. Two spellings of one name have the same key. It has no `Serialize`, so that a username cannot
/// reach a log by accident.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Username(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    #[error("a username is missing")]
    Empty,
    #[error("a username has at most 254 bytes")]
    TooLong,
    #[error("a username holds no control characters")]
    Control,
    /// RFC 8265 forbids a character, such as an invisible character or a symbol.
    #[error("a character that is not allowed in usernames (RFC 8265)")]
    NotAllowed,
}

impl Username {
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        UsernameInput::parse(text)?.username.ok_or(UsernameError::NotAllowed)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Username {
    type Error = UsernameError;

    fn try_from(text: String) -> Result<Self, UsernameError> {
        Self::parse(&text)
    }
}

/// A username as typed, trimmed, with its key. There is no key if RFC 8265 forbids the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsernameInput {
    raw: String,
    username: Option<Username>,
}

impl UsernameInput {
    /// Accepts a name that RFC 8265 forbids: it is handled like an unknown username.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        if text.len() > MAX_BYTES * 4 {
            return Err(UsernameError::TooLong);
        }
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(UsernameError::Empty);
        }
        if trimmed.len() > MAX_BYTES {
            return Err(UsernameError::TooLong);
        }
        if trimmed.chars().any(char::is_control) {
            return Err(UsernameError::Control);
        }
        Ok(Self {
            username: normalise(trimmed).filter(|key| key.len() <= MAX_BYTES).map(Username),
            raw: trimmed.to_owned(),
        })
    }

    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// `None`: RFC 8265 forbids the name, so no user can have it.
    pub fn username(&self) -> Option<&Username> {
        self.username.as_ref()
    }
}

fn normalise(trimmed: &str) -> Option<String> {
    // On plain ASCII the profile only lower-cases, but takes two microseconds.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'+' | b'-');
    if trimmed.bytes().all(plain) && trimmed.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Some(trimmed.to_ascii_lowercase());
    }
    normalise_by_profile(trimmed)
}

/// Applies the profile until the result is stable, at most four times, and refuses text that is not stable then (RFC 8264,
/// section 7). The lower-case forms of some letters of recent scripts are outside the profile.
fn normalise_by_profile(trimmed: &str) -> Option<String> {
    let mut key = enforce(trimmed)?;
    for _ in 0..3 {
        let again = enforce(&key)?;
        if again == key {
            return Some(key);
        }
        key = again;
    }
    None
}

fn enforce(text: &str) -> Option<String> {
    let profile = UsernameCaseMapped::new();
    let parts = text
        .split(' ')
        .filter(|part| !part.is_empty())
        .map(|part| profile.enforce(part).ok().map(std::borrow::Cow::into_owned))
        .collect::<Option<Vec<_>>>()?;
    Some(parts.join(" "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Option<String> {
        Username::parse(text).ok().map(|u| u.0)
    }

    #[test]
    fn equivalent_spellings_share_a_key() {
        for (text, expected) in [
            ("  Alice ", "alice"),
            ("ＡＬＩＣＥ", "alice"),
            ("e\u{301}mile", "émile"),
            ("John   Smith", "john smith"),
            ("user@Example.com", "user@example.com"),
            ("o'Neil", "o'neil"),
            ("12345", "12345"),
        ] {
            assert_eq!(key(text).as_deref(), Some(expected), "{text:?}");
        }
        assert_ne!(key("аlice"), key("alice"), "a Cyrillic look-alike stays another name");
    }

    #[test]
    fn disallowed_usernames_are_still_valid_input() {
        for text in ["smile 😀", "a\u{200b}b", "a\u{202e}b", "\u{13a0}"] {
            assert_eq!(Username::parse(text), Err(UsernameError::NotAllowed), "{text:?}");
            assert_eq!(UsernameInput::parse(text).map(|t| t.username().cloned()), Ok(None));
        }
        assert_eq!(UsernameInput::parse(" \t "), Err(UsernameError::Empty));
        assert_eq!(UsernameInput::parse("a\0b"), Err(UsernameError::Control));
        assert_eq!(UsernameInput::parse("a\r\nb"), Err(UsernameError::Control));
        assert_eq!(UsernameInput::parse(&"x".repeat(255)), Err(UsernameError::TooLong));
        assert!(UsernameInput::parse(&"x".repeat(254)).is_ok());
    }

    proptest! {
        #[test]
        fn the_fast_path_equals_the_profile(name in "[A-Za-z0-9._@+-]{1,40}") {
            prop_assert_eq!(normalise(&name), normalise_by_profile(&name));
        }

        #[test]
        fn normalising_twice_changes_nothing(name in "\\PC{1,40}") {
            if let Some(once) = normalise(name.trim()).filter(|key| !key.is_empty()) {
                prop_assert_eq!(normalise(&once), Some(once.clone()));
            }
        }
    }
}
