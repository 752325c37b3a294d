//! The names of sections, keys and environment variables.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::sections::{Config, LegacyPath};

/// `SIGNPOST__SECTION__KEY` overrides `key` of `[section]`.
pub(super) const PREFIX: &str = "SIGNPOST__";

/// Sections and keys in the order of their declaration, which a JSON object of `serde_json` does not keep.
pub(super) fn declared() -> Vec<(String, Vec<String>)> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Section {
        Table(Ordered<Value>),
        List([Ordered<Value>; 1]),
    }
    let config = Config { legacy_paths: vec![LegacyPath::default()], ..Config::default() };
    let json = serde_json::to_string(&config).unwrap_or_default();
    let sections = serde_json::from_str::<Ordered<Section>>(&json).map(|sections| sections.0).unwrap_or_default();
    let keys = |entries: Ordered<Value>| entries.0.into_iter().map(|(key, _)| key).collect();
    let sections = sections.into_iter().map(|(name, section)| match section {
        Section::Table(entries) | Section::List([entries]) => (name, keys(entries)),
    });
    sections.collect()
}

/// The members of a JSON object, in the order of the text.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered(members))
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}
