//! Database errors.

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A unique key is taken.
    #[error("a row with this key already exists")]
    Conflict(#[source] sqlx::Error),
    #[error("the database failed")]
    Failed(#[from] sqlx::Error),
    #[error("the database file does not exist: run `signpost migrate` to create it")]
    DatabaseNotFound,
    #[error("the database schema does not match this version of Signpost: run `signpost migrate`")]
    SchemaMismatch,
    #[error("the database schema could not be migrated")]
    Migration(#[from] sqlx::migrate::MigrateError),
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
