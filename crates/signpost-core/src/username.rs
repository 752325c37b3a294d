//! Usernames: what a person typed, and the key it is looked up by.
//!
//! RFC 8265, section 3.5: a username is one or more parts separated by spaces; the `UsernameCaseMapped` profile (section
//! 3.3) is enforced on each part, and the parts are joined by one space. Look-alike letters of other scripts stay distinct.

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::Profile;
use serde::Deserialize;

/// The longest username, in bytes of UTF-8, typed or normalised.
pub const MAX_BYTES: usize = 254;

/// A normalised username: two spellings of one name have the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Username(String);

/// Why a text is not a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// Nothing but white space.
    #[error("a username is missing")]
    Empty,
    /// Over [`MAX_BYTES`].
    #[error("a username has at most 254 bytes")]
    TooLong,
    /// NUL, line breaks and other control characters.
    #[error("a username holds no control characters")]
    Control,
    /// A character that RFC 8265 does not allow in usernames (invisible characters, symbols, mixed directions).
    #[error("a character that is not allowed in usernames (RFC 8265)")]
    NotAllowed,
}

impl Username {
    /// Normalises a text.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        UsernameInput::parse(text)?.username.ok_or(UsernameError::NotAllowed)
    }

    /// The key.
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

/// What a person typed, trimmed, with its key when the text can be a username at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsernameInput {
    raw: String,
    username: Option<Username>,
}

impl UsernameInput {
    /// Trims and normalises. A text that RFC 8265 refuses is still a typed name: one that nobody has.
    ///
    /// # Errors
    /// Empty, over-long, or with control characters.
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

    /// As typed, without white space around it.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The look-up key; none when nobody can have this name.
    pub fn username(&self) -> Option<&Username> {
        self.username.as_ref()
    }
}

fn normalise(trimmed: &str) -> Option<String> {
    // The profile costs two microseconds even on plain ASCII, where it only lower-cases.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'+' | b'-');
    if trimmed.bytes().all(plain) && trimmed.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Some(trimmed.to_ascii_lowercase());
    }
    normalise_by_profile(trimmed)
}

/// Applies the profile until nothing changes any more, at most four times; a text that never settles is refused (RFC 8264,
/// section 7). Some letters of young scripts have lower-case forms that the profile itself does not take.
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
