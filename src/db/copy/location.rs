//! Where a database is, and who uses it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use sqlx::Connection;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use url::Url;

use super::error::CopyError;
use crate::db::error::DbError;
use crate::db::handle::Db;
use crate::db::postgres::APPLICATION_NAME;
use crate::db::sqlite::{IN_USE_TIMEOUT, lock_file};
use crate::db::statement::Sql;
use crate::values;

/// Connections of other programs, such as those of an administrator, are no concern of a copy.
const OTHERS: &str = "SELECT count(*) AS count FROM pg_stat_activity \
                      WHERE datname = current_database() AND application_name = $1";
/// Tells our own connections from those of other processes.
const COPY_NAME: &str = "signpost copy";

/// A database that a command line names.
#[derive(Clone, Debug)]
pub(super) struct Location {
    url: String,
    /// The same for every spelling of the URL, without user and password.
    pub name: String,
    /// The file of a SQLite database.
    file: Option<PathBuf>,
}

impl Location {
    pub(super) fn parse(url: &str) -> Result<Self, CopyError> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).map_err(DbError::from)?;
            let file = absolute(options.get_filename());
            return Ok(Self { url: url.to_owned(), name: format!("sqlite:{}", file.display()), file: Some(file) });
        }
        let parsed = Url::parse(url).ok().filter(|url| ["postgres", "postgresql"].contains(&url.scheme()));
        // The rest can have a password.
        let mut parsed = parsed.ok_or_else(|| CopyError::Url(url.split(':').next().unwrap_or_default().to_owned()))?;
        let options = PgConnectOptions::from_str(url).map_err(DbError::from)?;
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let database = options.get_database().unwrap_or(options.get_username());
        let name = format!("postgres://{host}:{}/{database}", options.get_port());
        if options.get_application_name().is_none() {
            parsed.query_pairs_mut().append_pair("application_name", COPY_NAME);
        }
        Ok(Self { url: parsed.into(), name, file: None })
    }

    /// Whether there is a database. Only a SQLite file is created by us.
    pub(super) fn exists(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.exists())
    }

    pub(super) fn create(&self) -> Result<(), DbError> {
        match &self.file {
            Some(file) => Ok(crate::db::handle::create_private(file)?),
            None => Ok(()),
        }
    }

    pub(super) async fn connect(&self) -> Result<Db, DbError> {
        // One connection holds a transaction, one reads beside it.
        Db::connect(&self.url, 2).await
    }

    pub(super) async fn migrate(&self) -> Result<(), DbError> {
        Db::migrate(&self.url).await
    }

    /// Connects to a database that no other process of Signpost has open.
    pub(super) async fn connect_alone(&self) -> Result<Db, CopyError> {
        let failed = CopyError::database(&self.name);
        if self.file.is_some() {
            let options = SqliteConnectOptions::from_str(&self.url).map_err(DbError::from)?;
            let locked = lock_file(options).await.map_err(|error| failed(error.into()))?;
            let locked = locked.ok_or_else(|| CopyError::InUse(self.name.clone()))?;
            locked.close().await.map_err(|error| failed(error.into()))?;
            return self.connect().await.map_err(failed);
        }
        let db = self.connect().await.map_err(&failed)?;
        let started = Instant::now();
        loop {
            let found = db.one(Sql::new_unchecked(OTHERS), values![APPLICATION_NAME]).await.map_err(&failed)?;
            if found.map(|row| row.int("count")).transpose()? == Some(0) {
                return Ok(db);
            }
            if started.elapsed() > IN_USE_TIMEOUT {
                return Err(CopyError::InUse(self.name.clone()));
            }
            // A process that is about to end.
            tokio::time::sleep(IN_USE_TIMEOUT / 20).await;
        }
    }
}

/// The path of a file that may not exist yet.
fn absolute(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(url: &str) -> String {
        Location::parse(url).unwrap().name
    }

    #[test]
    fn names_have_no_password_and_one_spelling() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let file = format!("sqlite:{}/new.db", real.display());
        assert_eq!(name(&format!("sqlite:{}/./new.db", real.display())), file);
        assert_eq!(name(&format!("sqlite://{}/new.db?mode=rwc", real.display())), file);
        assert_eq!(name("postgres://ann:secret@db.example/signpost"), "postgres://db.example:5432/signpost");
        assert_eq!(
            name("postgresql://db.example:5432/signpost?sslmode=require"),
            "postgres://db.example:5432/signpost"
        );
        for (wrong, named) in
            [("mysql://ann:secret@db.example/signpost", "not mysql"), ("signpost.db", "not signpost.db")]
        {
            let error = Location::parse(wrong).unwrap_err().to_string();
            assert!(error.ends_with(named), "{error}");
        }
    }
}
