//! Settings: one file, read at the start and at each reload. Unknown keys are errors, and all problems are reported together.
//!
//! `signpost.example.toml` describes every setting. The environment overrides the file: `SIGNPOST__SECTION__KEY=value`.

mod checks;
mod forms;
mod load;
mod problems;
mod reload;
mod secret;
mod sections;

use std::path::Path;

pub use checks::{AddressPolicy, check_display_text, check_mail_address, check_phone, check_url, is_host_name};
pub use problems::Problems;
pub(crate) use problems::toml_problem;
pub use reload::RESTART_ONLY;
pub use secret::Secret;
pub use sections::{
    Audit, ClientAddressHeader, Config, Console, Database, Help, ImportPath, Legacy, LegacyPath, Limits, Log,
    LogFormat, Mail, MailTls, Oidc, PathMode, Portal, ReturnTo, Routing, Secrets, SecureAuth, SecurityTxt, Server,
    Sessions, StaffRoles, TlsFiles,
};

impl Config {
    /// Reads and checks the file, with overrides from the environment.
    pub fn load(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problems(vec![format!("{} cannot be read: {error}", path.display())]))?;
        Self::from_text(&text, environment)
    }

    pub fn from_text(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        load::load(text, environment)
    }

    /// Identifies the settings without their inline secrets.
    pub fn fingerprint(&self) -> String {
        let mut hash = signpost_core::text::sha256(format!("{self:?}").as_bytes());
        hash.truncate(12);
        hash
    }
}
