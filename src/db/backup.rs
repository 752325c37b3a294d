//! Copies of a SQLite database. PostgreSQL has tools of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor, Row};
use tempfile::NamedTempFile;

use super::error::DbError;
use super::handle::{Db, Schema};
use super::sqlite::lock_file;
use super::statement::Sql;
use crate::values;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the database is PostgreSQL: use pg_dump and pg_restore")]
    Postgres,
    #[error("{0} exists already, and a backup replaces no file: choose another name")]
    Exists(PathBuf),
    #[error("{0} is the database itself")]
    Same(PathBuf),
    #[error("{path} is damaged, and nothing was changed: {problem}")]
    Damaged { path: PathBuf, problem: String },
    #[error("{0} is in use, and nothing was changed: stop every Signpost that uses it")]
    InUse(PathBuf),
    #[error("{path}: {error}")]
    File {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// A backup that is ready to take the place of the database.
#[derive(Debug)]
pub struct Restored {
    /// The copy, with the schema of this program.
    pub db: Db,
    file: NamedTempFile,
    target: PathBuf,
    /// Holds the lock of the database that is replaced.
    replaced: Option<SqliteConnection>,
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> BackupError {
    move |error| BackupError::File { path: path.to_owned(), error }
}

/// The folder of a file, where its new version is written before it takes the name.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable.
fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(file_error(path))
}

impl Db {
    /// Writes a consistent copy while the database is in use. Only the owner can read it. Returns its size in bytes.
    ///
    /// # Errors
    /// The file exists, or it cannot be written. Then there is no file of this name.
    pub async fn back_up(&self, to: &Path) -> Result<u64, BackupError> {
        if let Self::Postgres(_) = self {
            return Err(BackupError::Postgres);
        }
        if to.exists() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let file = NamedTempFile::new_in(folder(to)).map_err(file_error(to))?;
        self.all(Sql::new_unchecked("VACUUM INTO $1"), values![file.path().display().to_string()]).await?;
        file.as_file().sync_all().map_err(file_error(to))?;
        let size = file.as_file().metadata().map_err(file_error(to))?.len();
        file.persist_noclobber(to).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
            _ => BackupError::File { path: to.to_owned(), error: error.error },
        })?;
        sync_folder(to)?;
        Ok(size)
    }
}

impl Restored {
    /// Checks a backup, copies it beside the database and migrates the copy. The database is unchanged, and locked.
    pub async fn prepare(backup: &Path, url: &str) -> Result<Self, BackupError> {
        if !url.starts_with("sqlite:") {
            return Err(BackupError::Postgres);
        }
        let options = SqliteConnectOptions::from_str(url)?;
        let target = options.get_filename().to_path_buf();
        let same = backup.canonicalize().ok().is_some_and(|path| target.canonicalize().ok() == Some(path));
        if same {
            return Err(BackupError::Same(target));
        }
        check(backup).await?;
        let mut replaced = None;
        if target.exists() {
            let locked = lock_file(options).await?;
            replaced = Some(locked.ok_or_else(|| BackupError::InUse(target.clone()))?);
        }
        let mut file = NamedTempFile::new_in(folder(&target)).map_err(file_error(&target))?;
        let mut source = File::open(backup).map_err(file_error(backup))?;
        std::io::copy(&mut source, file.as_file_mut()).map_err(file_error(file.path()))?;
        let db = Db::open(&format!("sqlite:{}", file.path().display()), 1, Schema::Migrate).await?;
        Ok(Self { db, file, target, replaced })
    }

    /// Puts the copy in the database's place. Returns where the earlier database is kept, if there was one.
    pub async fn replace(self, name: &str) -> Result<Option<PathBuf>, BackupError> {
        let Self { db, file, target, replaced } = self;
        db.close().await;
        file.as_file().sync_all().map_err(file_error(file.path()))?;
        let mut kept = None;
        if replaced.is_some() {
            let mut path = target.as_os_str().to_owned();
            path.push(format!(".{name}"));
            let path = PathBuf::from(path);
            std::fs::hard_link(&target, &path).map_err(file_error(&path))?;
            kept = Some(path);
        }
        file.persist(&target).map_err(|error| BackupError::File { path: target.clone(), error: error.error })?;
        sync_folder(&target)?;
        drop(replaced);
        Ok(kept)
    }
}

async fn check(backup: &Path) -> Result<(), BackupError> {
    let damaged = |problem: String| BackupError::Damaged { path: backup.to_owned(), problem };
    File::open(backup).map_err(file_error(backup))?;
    let options = SqliteConnectOptions::new().filename(backup).read_only(true).immutable(true);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| damaged(error.to_string()))?;
    let rows = connection.fetch_all("PRAGMA integrity_check").await.map_err(|error| damaged(error.to_string()))?;
    let found: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if found != ["ok"] {
        return Err(damaged(found.join("; ")));
    }
    let migrations = connection.fetch_all("SELECT max(version) FROM _sqlx_migrations").await;
    if migrations.is_err() {
        return Err(damaged("it is not a database of Signpost".to_owned()));
    }
    Ok(())
}
