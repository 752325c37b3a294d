//! A biller's permanent short name in addresses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 2 to 63 characters of `[a-z0-9]` and single inner hyphens. So it is also one DNS label (RFC 1123, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// Names with another meaning in a path or a host.
const RESERVED: [&str; 12] =
    ["admin", "api", "auth", "console", "login", "mail", "null", "signpost", "static", "support", "www", "localhost"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlugError {
    #[error("a slug has 2 to 63 characters")]
    Length,
    #[error("a slug holds a-z, 0-9 and single hyphens inside, nothing else")]
    Characters,
    #[error("this word is reserved")]
    Reserved,
}

impl Slug {
    /// Accepts the exact form only. Nothing is trimmed or converted.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        if !(2..=63).contains(&text.len()) {
            return Err(SlugError::Length);
        }
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !text.bytes().all(allowed) || text.starts_with('-') || text.ends_with('-') || text.contains("--") {
            return Err(SlugError::Characters);
        }
        if RESERVED.contains(&text) {
            return Err(SlugError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;

    fn try_from(text: String) -> Result<Self, SlugError> {
        Self::parse(&text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl std::str::FromStr for Slug {
    type Err = SlugError;

    fn from_str(text: &str) -> Result<Self, SlugError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookalikes_and_malformed_slugs_are_rejected() {
        for bad in
            ["", "a", "Acme", "acme-", "-acme", "ac--me", "xn--acme", "аcme", "ac_me", "ac.me", "api", "a/b", "a b"]
        {
            assert!(Slug::parse(bad).is_err(), "{bad:?} was accepted");
        }
        for good in ["riverside-water", "a1", "7-eleven-gas"] {
            assert_eq!(Slug::parse(good).map(|s| s.to_string()).as_deref(), Ok(good));
        }
    }
}
