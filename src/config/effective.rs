//! The settings in effect, and where each comes from.

use serde::Serialize;
use serde_json::Value;
use toml::Table;

use super::keys::{PREFIX, declared};
use super::load::load;
use super::problems::Problems;

/// A setting as it is in effect.
#[derive(Debug, Serialize)]
pub struct EffectiveSetting {
    /// `section.key`
    pub key: String,
    /// Null if it is not set. Secrets are masked.
    pub value: Value,
    pub source: Source,
    /// The variable, if it comes from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Default,
    File,
    Environment,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
        }
    }
}

pub(super) fn effective(text: &str, environment: Vec<(String, String)>) -> Result<Vec<EffectiveSetting>, Problems> {
    let names: Vec<String> = environment.iter().map(|(name, _)| name.clone()).collect();
    let config = load(text, environment)?;
    let file: Table = text.parse().unwrap_or_default();
    let values = serde_json::to_value(&config).unwrap_or_default();
    let origin = |section: &str, key: &str| {
        let is_override = |name: &&String| {
            let path = name.strip_prefix(PREFIX).and_then(|path| path.split_once("__"));
            path.is_some_and(|(first, rest)| first.eq_ignore_ascii_case(section) && rest.eq_ignore_ascii_case(key))
        };
        match names.iter().find(is_override) {
            Some(name) => (Source::Environment, Some(name.clone())),
            None if file.get(section).is_some_and(|table| table.get(key).is_some()) => (Source::File, None),
            None => (Source::Default, None),
        }
    };
    let mut all = Vec::new();
    for (section, keys) in declared() {
        if values[&section].is_array() {
            let source = if file.contains_key(&section) { Source::File } else { Source::Default };
            all.push(EffectiveSetting { value: values[&section].clone(), key: section, source, variable: None });
            continue;
        }
        for key in keys {
            let (source, variable) = origin(&section, &key);
            let value = values[&section][&key].clone();
            all.push(EffectiveSetting { key: format!("{section}.{key}"), value, source, variable });
        }
    }
    Ok(all)
}
