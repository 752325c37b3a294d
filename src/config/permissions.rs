//! Files with secrets or data of customers that other accounts can read.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::secret::Secret;
use super::sections::Config;

/// Any access of others, and changes by the group. The group may read: a service often gets its secrets so.
const EXCESSIVE: u32 = 0o037;

/// A file with too many permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedFile {
    pub path: PathBuf,
    pub mode: u32,
}

impl Config {
    /// The settings file if it has secrets, secret files, and the SQLite database, as far as others have access to them.
    pub fn exposed_files(&self, settings: &Path) -> Vec<ExposedFile> {
        let secrets = self.all_secrets();
        let mut files: Vec<PathBuf> = Vec::new();
        if secrets.iter().any(|secret| matches!(secret, Secret::Inline(_))) || self.database_password_is_inline() {
            files.push(settings.to_owned());
        }
        files.extend(secrets.iter().chain(&[&self.database.url]).filter_map(|secret| match secret {
            Secret::File { file } => Some(PathBuf::from(file)),
            Secret::Inline(_) | Secret::Env { .. } => None,
        }));
        if let Some(database) = self.sqlite_file() {
            let log = |suffix: &str| PathBuf::from(format!("{}{suffix}", database.display()));
            files.extend([log("-wal"), log("-shm")]);
            files.push(database);
        }
        let exposed = files.into_iter().filter_map(|path| {
            let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o777;
            (mode & EXCESSIVE != 0).then_some(ExposedFile { path, mode })
        });
        exposed.collect()
    }

    fn all_secrets(&self) -> Vec<&Secret> {
        let optional = [
            &self.secureauth.system_client_secret,
            &self.secureauth.admin_client_secret,
            &self.mail.password,
            &self.console.client_secret,
        ];
        self.secrets.keys.iter().chain(optional.into_iter().flatten()).chain(self.traces.headers.values()).collect()
    }

    fn database_password_is_inline(&self) -> bool {
        matches!(&self.database.url, Secret::Inline(url) if !url.expose_secret().starts_with("sqlite:"))
    }

    fn sqlite_file(&self) -> Option<PathBuf> {
        let url = self.database.url.reveal().ok()?;
        let path = url.expose_secret().strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
    }
}
