//! What operators write for customers in their own words: in one language, or in several.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Locale;

/// A text in at least one language. A text alone is English.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Told(BTreeMap<Locale, String>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Alone(String),
    Each(BTreeMap<Locale, String>),
}

impl From<Written> for Told {
    fn from(written: Written) -> Self {
        let texts = match written {
            Written::Alone(text) => BTreeMap::from([(Locale::English, text)]),
            Written::Each(texts) => texts,
        };
        Self(texts.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect())
    }
}

impl From<Told> for Written {
    fn from(told: Told) -> Self {
        match told.0.get(&Locale::English) {
            Some(text) if told.0.len() == 1 => Self::Alone(text.clone()),
            _ => Self::Each(told.0),
        }
    }
}

impl Told {
    /// The text for somebody who reads this language, and the language that it is in: another, where there is none in this.
    pub fn to(&self, locale: Locale) -> Option<(Locale, &str)> {
        let found = self.0.get_key_value(&locale).or_else(|| self.0.first_key_value());
        found.map(|(language, text)| (*language, text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_in_the_language_that_is_read_or_in_another() {
        let read = |json: &str| serde_json::from_str::<Told>(json).unwrap();
        let alone = read("\"Weekdays\"");
        assert_eq!(alone.to(Locale::English), Some((Locale::English, "Weekdays")));
        assert_eq!(alone.to(Locale::Spanish), Some((Locale::English, "Weekdays")));
        let both = read(r#"{"en": "Weekdays", "es": "Días laborables"}"#);
        assert_eq!(both.to(Locale::Spanish), Some((Locale::Spanish, "Días laborables")));
        assert_eq!(read(r#"{"es": "Días laborables"}"#).to(Locale::English).unwrap().0, Locale::Spanish);
        assert_eq!(read("\" \"").to(Locale::English), None, "an empty text takes it away");
        for json in ["\"Weekdays\"", r#"{"en":"Weekdays","es":"Días laborables"}"#, r#"{"es":"Días laborables"}"#] {
            assert_eq!(serde_json::to_string(&read(json)).unwrap(), json, "stored as it was written");
        }
        assert!(
            serde_json::from_str::<Told>(r#"{"fr": "Jours ouvrables"}"#).is_err(),
            "a language that we do not have"
        );
    }
}
