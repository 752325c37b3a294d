//! Texts that operators write for customers, in one or several languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Locale;

/// A text per language. A plain string is English.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Repr", into = "Repr")]
pub struct LocalizedText(BTreeMap<Locale, String>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Repr {
    Plain(String),
    PerLocale(BTreeMap<Locale, String>),
}

impl From<Repr> for LocalizedText {
    fn from(repr: Repr) -> Self {
        let texts = match repr {
            Repr::Plain(text) => BTreeMap::from([(Locale::English, text)]),
            Repr::PerLocale(texts) => texts,
        };
        Self(texts.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect())
    }
}

impl From<LocalizedText> for Repr {
    fn from(text: LocalizedText) -> Self {
        match text.0.get(&Locale::English) {
            Some(english) if text.0.len() == 1 => Self::Plain(english.clone()),
            _ => Self::PerLocale(text.0),
        }
    }
}

impl LocalizedText {
    /// Sets the text in one language. An empty text removes it.
    pub fn set(&mut self, locale: Locale, text: &str) {
        self.0.remove(&locale);
        if !text.trim().is_empty() {
            self.0.insert(locale, text.to_owned());
        }
    }

    /// The text in this language, or else in another one. Returns the language of the text with it.
    pub fn resolve(&self, locale: Locale) -> Option<(Locale, &str)> {
        let found = self.0.get_key_value(&locale).or_else(|| self.0.first_key_value());
        found.map(|(language, text)| (*language, text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localized_text_falls_back_to_another_locale() {
        let read = |json: &str| serde_json::from_str::<LocalizedText>(json).unwrap();
        let alone = read("\"Weekdays\"");
        assert_eq!(alone.resolve(Locale::English), Some((Locale::English, "Weekdays")));
        assert_eq!(alone.resolve(Locale::Spanish), Some((Locale::English, "Weekdays")));
        let both = read(r#"{"en": "Weekdays", "es": "Días laborables"}"#);
        assert_eq!(both.resolve(Locale::Spanish), Some((Locale::Spanish, "Días laborables")));
        assert_eq!(read(r#"{"es": "Días laborables"}"#).resolve(Locale::English).unwrap().0, Locale::Spanish);
        assert_eq!(read("\" \"").resolve(Locale::English), None, "an empty text counts as none");
        for json in ["\"Weekdays\"", r#"{"en":"Weekdays","es":"Días laborables"}"#, r#"{"es":"Días laborables"}"#] {
            assert_eq!(serde_json::to_string(&read(json)).unwrap(), json, "the stored form equals the input");
        }
        assert!(
            serde_json::from_str::<LocalizedText>(r#"{"fr": "Jours ouvrables"}"#).is_err(),
            "an unsupported language"
        );
    }
}
