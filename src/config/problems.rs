//! What is wrong with settings.

use std::fmt;

/// Every problem of the settings, one sentence each.
#[derive(Debug)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings have {} problem(s):", self.0.len())?;
        for problem in &self.0 {
            writeln!(f, "  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Describes a TOML error by line, without quoting the text: it may contain secrets.
pub(crate) fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text.get(..span.start).unwrap_or(text).lines().count().max(1));
    let sentence = error.message();
    line.map_or_else(|| sentence.to_owned(), |line| format!("line {line}: {sentence}"))
}
