//! Settings: one file, read at the start and at each reload. Unknown keys are errors, and all problems are reported together.
//!
//! `sections` describes every setting; `reference` makes the documents and the schema from it. The environment overrides the file:
//! `SIGNPOST__SECTION__KEY=value`.

mod checks;
mod duration;
mod effective;
mod forms;
mod keys;
mod listen;
mod load;
mod permissions;
mod problems;
mod reference;
mod reload;
mod schema;
mod secret;
mod sections;

use std::path::Path;

pub use checks::{AddressPolicy, check_display_text, check_mail_address, check_phone, check_url, is_host_name};
pub use effective::{EffectiveSetting, Source};
pub use listen::{ListenAddress, SocketMode};
pub use permissions::ExposedFile;
pub use problems::Problems;
pub(crate) use problems::toml_problem;
pub use reference::{ReferenceSection, ReferenceSetting, reference, schema, toml_text};
pub use reload::RESTART_ONLY;
pub use secret::Secret;
pub use sections::{
    Audit, ClientAddressHeader, Config, Console, Database, Help, ImportPath, Legacy, LegacyPath, Limits, Log,
    LogFormat, Mail, MailTls, Oidc, PathMode, Portal, ReturnTo, Routing, Secrets, SecureAuth, SecurityTxt, Server,
    Sessions, StaffRoles, TlsFiles, Traces,
};

impl Config {
    /// Reads and checks the file, with overrides from the environment.
    pub fn load(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        Self::from_text(&read(path)?, environment)
    }

    pub fn from_text(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        load::load(text, environment)
    }

    /// Every setting as it is in effect, with its source. Secrets are masked.
    pub fn effective(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Vec<EffectiveSetting>, Problems> {
        effective::effective(&read(path)?, environment.into_iter().collect())
    }

    /// Identifies the settings without their inline secrets.
    pub fn fingerprint(&self) -> String {
        let mut hash = signpost_core::text::sha256(format!("{self:?}").as_bytes());
        hash.truncate(12);
        hash
    }
}

fn read(path: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|error| Problems(vec![format!("{} cannot be read: {error}", path.display())]))
}
