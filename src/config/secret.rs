//! Secrets: inline, from a file or from an environment variable. `Debug` does not show them.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// What is shown of an inline secret.
pub(super) const MASK: &str = "***";

/// A secret setting: `"text"`, `{ file = "/run/secrets/x" }` or `{ env = "X" }`.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Secret {
    Inline(SecretString),
    /// The content of a file, without trailing white space.
    File {
        file: String,
    },
    /// The value of an environment variable.
    Env {
        env: String,
    },
}

/// Masks an inline secret.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Inline(_) => serializer.serialize_str(MASK),
            Self::File { file } => serializer.collect_map([("file", file)]),
            Self::Env { env } => serializer.collect_map([("env", env)]),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Secret(inline)"),
            Self::File { file } => write!(f, "Secret(file {file})"),
            Self::Env { env } => write!(f, "Secret(environment variable {env})"),
        }
    }
}

impl Secret {
    /// Reads the secret. The error is a sentence for the operator.
    #[expect(clippy::disallowed_methods, reason = "settings come from here")]
    pub fn reveal(&self) -> Result<SecretString, String> {
        let text = match self {
            Self::Inline(text) => return Ok(text.clone()),
            Self::File { file } => std::fs::read_to_string(file)
                .map_err(|error| format!("the secret file {file} cannot be read: {error}"))?,
            Self::Env { env } => {
                std::env::var(env).map_err(|_| format!("the environment variable {env} is not set"))?
            }
        };
        match text.trim_end() {
            "" => Err(format!("{self:?} is empty")),
            text => Ok(SecretString::from(text.to_owned())),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(a), Self::Inline(b)) => a.expose_secret() == b.expose_secret(),
            (Self::File { file: a }, Self::File { file: b }) | (Self::Env { env: a }, Self::Env { env: b }) => a == b,
            _ => false,
        }
    }
}
