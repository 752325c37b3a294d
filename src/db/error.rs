//! Database errors.

use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteError;

use super::migrations;

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A unique key is taken.
    #[error("a row with this key already exists")]
    Conflict(#[source] sqlx::Error),
    #[error("the database failed: {}{}", .0, next_step(.0))]
    Failed(#[from] sqlx::Error),
    /// The circuit breaker is open: no connection was attempted. It is logged when it opens and closes, not by each request.
    #[error("{AWAY}: {0}")]
    Away(Arc<str>),
    /// The server accepts connections, and the pool has none free.
    #[error(
        "all connections to the database are in use: find the statements that take long, or raise database.connections"
    )]
    Exhausted,
    /// The transaction shared its commit with others (see `group_commit`), and that failed.
    #[error("the shared commit failed: {0}")]
    GroupFailed(Arc<str>),
    #[error("the database file does not exist: run `signpost migrate` to create it")]
    DatabaseNotFound,
    #[error(
        "the database has schema {found}, and this Signpost needs schema {}: run `signpost migrate`",
        migrations::LATEST
    )]
    SchemaOutdated { found: i64 },
    #[error(
        "this database belongs to a newer Signpost (schema {found}; this program has schema {}): run that version. The kill \
         switch file works without the database: `signpost kill-switch SETTING --file`",
        migrations::LATEST
    )]
    SchemaNewer { found: i64 },
    #[error(
        "the database is an unfinished copy of {origin}: run `signpost copy` again, which continues, or name another database"
    )]
    UnfinishedCopy { origin: String },
    #[error("the database schema could not be migrated")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

const AWAY: &str = "the database is away";

impl DbError {
    /// What kind of error it is, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            error if error.is_unreachable() => "unavailable",
            _ => "failed",
        }
    }

    /// Whether the database could not be reached, as opposed to a statement that failed.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Away(_) | Self::Exhausted => true,
            Self::Failed(error) => is_connection_failure(error),
            _ => false,
        }
    }

    /// Why the database refuses writes, if it does so whatever is written: it is read-only or its disk is full.
    pub(super) fn refused_write(&self) -> Option<&'static str> {
        let Self::Failed(error) = self else { return None };
        match &*error.as_database_error()?.code()? {
            "13" | "53100" => Some("the disk is full"),
            code if code == "25006" || primary_code(code) == Some(8) => Some("it is read-only"),
            _ => None,
        }
    }

    /// Whether the connection broke, perhaps while it was idle. Another one may work.
    pub(super) fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Failed(error) if is_connection_failure(error) && !matches!(error, sqlx::Error::PoolTimedOut))
    }

    /// Whether the outage is logged already.
    pub fn is_logged(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

/// Whether an error is, or has as a cause, one that [`DbError::is_logged`] names.
pub fn is_logged(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if is_logged_text(&error.to_string()) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The same, for an error in words.
pub fn is_logged_text(error: &str) -> bool {
    error.starts_with(AWAY)
}

pub(super) fn classify(error: sqlx::Error) -> DbError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => DbError::Conflict(error),
        _ => DbError::Failed(error),
    }
}

/// Whether another process is writing to the SQLite file: SQLITE_BUSY, SQLITE_BUSY_RECOVERY or SQLITE_BUSY_SNAPSHOT.
pub(super) fn is_busy(error: &DbError) -> bool {
    let DbError::Failed(sqlx::Error::Database(error)) = error else { return false };
    error.code().is_some_and(|code| matches!(&*code, "5" | "261" | "517"))
}

/// The lower eight bits of SQLite's extended result codes.
fn primary_code(code: &str) -> Option<i32> {
    code.parse().ok().map(|code: i32| code & 0xff)
}

/// What to do about an error of SQLite that does not say so itself.
fn next_step(error: &sqlx::Error) -> &'static str {
    let sqlite = error.as_database_error().and_then(|error| error.try_downcast_ref::<SqliteError>());
    match sqlite.and_then(|error| primary_code(&error.code()?)) {
        Some(8 | 14) => {
            ": SQLite needs to write the file, its folder, and the files with -wal and -shm beside it; check their owner and \
             permissions, and whether the file system is mounted read-only"
        }
        Some(13) => ": free space on its file system",
        _ => "",
    }
}

/// No connection, or a connection that broke: never the fault of a statement.
pub(super) fn is_connection_failure(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        // What arrived is not PostgreSQL's: a proxy in between closed the connection, or answered by itself.
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // PostgreSQL: connection exceptions, and a server that stops, has crashed or is starting.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.len() == 5 && (code.starts_with("08") || code.starts_with("57P")))
        }
        _ => false,
    }
}
