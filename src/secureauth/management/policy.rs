//! The password policy of a pool.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// The password policy of a pool. A missing field is left to SecureAuth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordPolicy {
    /// Minimum number of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u16>,
    /// Minimum number of capital letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capital_letters: Option<u16>,
    /// Minimum number of lowercase letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lowercase_letters: Option<u16>,
    /// Minimum number of digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<u16>,
    /// Minimum number of other characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special_characters: Option<u16>,
    /// Number of latest passwords that cannot be reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_used_since: Option<u16>,
    /// Minimum strength.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<Strength>,
}

/// The strength of a password, as SecureAuth measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    Any,
    Weak,
    Fair,
    Strong,
    VeryStrong,
}

impl Strength {
    /// Weakest first.
    pub const ALL: [Self; 5] = [Self::Any, Self::Weak, Self::Fair, Self::Strong, Self::VeryStrong];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Weak => "weak",
            Self::Fair => "fair",
            Self::Strong => "strong",
            Self::VeryStrong => "very_strong",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strength| strength.as_str() == text)
    }
}

/// SecureAuth's own limits are lower.
pub(super) const MAX_COUNT: u16 = 64;

impl PasswordPolicy {
    /// Each number with SecureAuth's field name and a label.
    pub fn counts(&self) -> [(&'static str, &'static str, Option<u16>); 6] {
        [
            ("min_length", "characters at least", self.min_length),
            ("capital_letters", "capital letters at least", self.capital_letters),
            ("lowercase_letters", "small letters at least", self.lowercase_letters),
            ("digits", "digits at least", self.digits),
            ("special_characters", "other characters at least", self.special_characters),
            ("not_used_since", "latest not taken again", self.not_used_since),
        ]
    }

    /// Validation errors: the field and a message.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems: Vec<_> = self
            .counts()
            .into_iter()
            .filter(|(_, _, number)| number.is_some_and(|number| number > MAX_COUNT))
            .map(|(field, what, _)| (field, format!("{what}: must be a number from 0 to {MAX_COUNT}")))
            .collect();
        let kinds = [self.capital_letters, self.lowercase_letters, self.digits, self.special_characters];
        let total: u32 = kinds.iter().flatten().map(|count| u32::from(*count)).sum();
        if total > u32::from(MAX_COUNT) {
            problems
                .push(("min_length", format!("the required characters add up to {total}; the maximum is {MAX_COUNT}")));
        }
        problems
    }

    /// Ignores fields that cannot be parsed, since the rest of the pool is still valid.
    pub(super) fn deserialize_lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let number = |name: &str| value[name].as_u64().and_then(|number| u16::try_from(number).ok());
        Ok(Self {
            min_length: number("min_length"),
            capital_letters: number("capital_letters"),
            lowercase_letters: number("lowercase_letters"),
            digits: number("digits"),
            special_characters: number("special_characters"),
            not_used_since: number("not_used_since"),
            strength: value["strength"].as_str().and_then(Strength::parse),
        })
    }
}
