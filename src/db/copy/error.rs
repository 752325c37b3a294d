//! Why a database was not copied.

use super::fingerprint::Fingerprint;
use crate::db::error::DbError;

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("a database is sqlite:PATH or postgres://user@host/name, not {0}")]
    Url(String),
    #[error("{0} is the source and the target")]
    Same(String),
    #[error("{0} has no schema of Signpost: check --from")]
    NoSchema(String),
    #[error(
        "{from} has schema {from_schema}, {to} has {to_schema}, and this program has {own}: they must be equal. Nothing was \
         changed. Migrate the source with the program that you copy with (`signpost migrate`), and copy into an empty database"
    )]
    Schemas { from: String, from_schema: i64, to: String, to_schema: i64, own: i64 },
    #[error("{0} is in use, and nothing was changed: stop every Signpost that uses it")]
    InUse(String),
    #[error("{database} has data (table {table}), and nothing was changed: copy into an empty database")]
    NotEmpty { database: String, table: String },
    #[error(
        "{database} is an unfinished copy of {origin}, not of {from}, and nothing was changed: copy from {origin}, or into an \
         empty database"
    )]
    OtherOrigin { database: String, origin: String, from: String },
    #[error("another copy into {0} has started since: this one ends")]
    Superseded(String),
    #[error("table {table} has {found} in the copy and {expected} in the source: run the command again")]
    Differs { table: String, expected: Fingerprint, found: Fingerprint },
    #[error("table {table}: {error}")]
    Table { table: String, error: DbError },
    #[error("{database}: {error}")]
    Database { database: String, error: DbError },
    #[error(transparent)]
    Db(#[from] DbError),
}

impl CopyError {
    /// The error of a statement on all of a database.
    pub(super) fn database(database: &str) -> impl Fn(DbError) -> Self {
        move |error| Self::Database { database: database.to_owned(), error }
    }
}
