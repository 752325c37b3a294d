//! What a pool asks of passwords.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Which passwords a pool takes. What is none is left to SecureAuth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordPolicy {
    /// Characters at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u16>,
    /// Capital letters at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capital_letters: Option<u16>,
    /// Small letters at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lowercase_letters: Option<u16>,
    /// Digits at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<u16>,
    /// Other characters at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special_characters: Option<u16>,
    /// So many of the last passwords are not taken again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_used_since: Option<u16>,
    /// How hard to guess it has to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<Strength>,
}

/// How hard to guess a password has to be, as the vendor measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Not asked.
    Any,
    /// Weak.
    Weak,
    /// Fair.
    Fair,
    /// Strong.
    Strong,
    /// Very strong.
    VeryStrong,
}

impl Strength {
    /// All of them, the weakest first.
    pub const ALL: [Self; 5] = [Self::Any, Self::Weak, Self::Fair, Self::Strong, Self::VeryStrong];

    /// The strength as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Weak => "weak",
            Self::Fair => "fair",
            Self::Strong => "strong",
            Self::VeryStrong => "very_strong",
        }
    }

    /// Reads a strength as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strength| strength.as_str() == text)
    }
}

/// The most that can be asked for: no person has longer passwords, and SecureAuth's own limits stand below.
pub(super) const MAX_COUNT: u16 = 64;

impl PasswordPolicy {
    /// Its numbers: the vendor's name of each, what it counts, and how many.
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

    /// What is asked for in vain: the field, and a sentence.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems: Vec<_> = self
            .counts()
            .into_iter()
            .filter(|(_, _, number)| number.is_some_and(|number| number > MAX_COUNT))
            .map(|(field, what, _)| (field, format!("{what}: a number from 0 to {MAX_COUNT} is expected")))
            .collect();
        let kinds = [self.capital_letters, self.lowercase_letters, self.digits, self.special_characters];
        let total: u32 = kinds.iter().flatten().map(|count| u32::from(*count)).sum();
        if total > u32::from(MAX_COUNT) {
            problems
                .push(("min_length", format!("the kinds of characters are {total} together; at most {MAX_COUNT} do")));
        }
        problems
    }

    /// As the vendor says it; what cannot be read is none, since a pool is not less of one for that.
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
