//! Settings: one file, read once. Unknown keys are refused, and all problems are reported together.
//!
//! `signpost.example.toml` holds every setting with its meaning. The environment overrides the file:
//! `SIGNPOST__SECTION__KEY=value`.

mod load;
mod secret;
mod sections;

use std::fmt;
use std::path::Path;

pub use secret::Secret;
pub use sections::{
    Audit, Config, Console, Database, Help, ImportPath, Legacy, LegacyPath, Limits, Log, LogFormat, Mail, MailTls,
    Oidc, PathMode, Portal, ReturnTo, Routing, Secrets, SecureAuth, Server, Sessions, StaffRoles,
};

/// Everything that is wrong with the settings, one sentence each.
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

impl Config {
    /// Reads the file, overlays the environment, checks everything.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problems(vec![format!("{} cannot be read: {error}", path.display())]))?;
        Self::from_text(&text, environment)
    }

    /// The same for a text at hand.
    ///
    /// # Errors
    /// All problems at once.
    pub fn from_text(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        load::load(text, environment)
    }

    /// Tells one set of settings from another, without the secrets in them.
    pub fn fingerprint(&self) -> String {
        let mut hash = signpost_core::text::sha256(format!("{self:?}").as_bytes());
        hash.truncate(12);
        hash
    }
}

/// What is wrong with a TOML text, and where; without the text itself, which may hold secrets.
pub(crate) fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text.get(..span.start).unwrap_or(text).lines().count().max(1));
    let sentence = error.message();
    line.map_or_else(|| sentence.to_owned(), |line| format!("line {line}: {sentence}"))
}
