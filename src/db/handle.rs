//! Opens a database and checks or migrates its schema.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::connection::PostgresTransaction;
use super::error::DbError;
use super::group_commit::WriteTransaction;
use super::migrations;
use super::postgres::PostgresPool;
use super::sqlite::SqliteFile;
use super::statement::Sql;
use crate::{sql, values};

#[derive(Clone, Debug)]
pub enum Db {
    Sqlite(Arc<SqliteFile>),
    Postgres(Arc<PostgresPool>),
}

const OLDEST_PROGRAM: Sql = sql!("SELECT oldest_program FROM schema_compatibility WHERE version = $1");

/// How [`Db::open`] treats the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Migrate it, and create a missing SQLite file.
    Migrate,
    /// Fail unless this program can use it, and create nothing.
    RequireCurrent,
}

/// A write transaction. Dropping it rolls it back.
#[derive(Debug)]
pub struct Tx {
    pub(super) open: Open,
    pub(super) db: Db,
    /// Dropped after a commit has ended.
    change: Option<Change>,
}

#[derive(Debug)]
pub(super) enum Open {
    /// Begun as `IMMEDIATE`: it holds the write lock from the start.
    Sqlite(WriteTransaction),
    Postgres(PostgresTransaction),
}

/// Counts the transactions of this process that change what is also kept in memory.
#[derive(Debug, Default)]
pub struct ChangeCounter {
    open: AtomicU64,
    ended: AtomicU64,
}

impl ChangeCounter {
    /// How many have ended. `None` while one is open: it may be committed already, as others see it before its caller does.
    pub fn settled(&self) -> Option<u64> {
        // In this order: a reader that sees a change leave `open` also sees it in `ended`.
        let open = self.open.load(Ordering::Acquire);
        let ended = self.ended.load(Ordering::Acquire);
        (open == 0).then_some(ended)
    }
}

/// One of them. It ends when it is dropped.
#[derive(Debug)]
struct Change(Arc<ChangeCounter>);

impl Change {
    fn new(counter: &Arc<ChangeCounter>) -> Self {
        counter.open.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(counter))
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Tx {
    pub(super) fn new(db: &Db, open: Open) -> Self {
        Self { open, db: db.clone(), change: None }
    }

    /// Counts this transaction until it has ended, however it ends. Copies of what it changes are outdated then.
    pub fn count_change(&mut self, counter: &Arc<ChangeCounter>) {
        self.change.get_or_insert_with(|| Change::new(counter));
    }
}

/// How long the first connection waits while SQLite recovers the log of a killed process.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a migration waits for another process that writes or migrates.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(30);

impl Db {
    /// Opens `sqlite:PATH` or `postgres://…`.
    ///
    /// # Errors
    /// A newer schema is an error unless its migration is marked as compatible.
    pub async fn open(url: &str, connections: u32, schema: Schema) -> Result<Self, DbError> {
        if schema == Schema::Migrate && url.starts_with("sqlite:") {
            create_private(SqliteConnectOptions::from_str(url)?.get_filename())?;
        }
        let db = Self::connect(url, connections).await?;
        let found = db.schema_version().await?;
        if found > migrations::LATEST {
            if !db.is_compatible(found).await? {
                return Err(DbError::SchemaNewer { found });
            }
            tracing::warn!(
                found,
                own = migrations::LATEST,
                "the database belongs to a newer Signpost, which marked it as compatible"
            );
        } else if found < migrations::LATEST {
            if schema == Schema::RequireCurrent {
                return Err(DbError::SchemaOutdated { found });
            }
            Self::migrate(url).await?;
        }
        match db.unfinished_copy_of().await? {
            Some(origin) => Err(DbError::UnfinishedCopy { origin }),
            None => Ok(db),
        }
    }

    pub(super) async fn connect(url: &str, connections: u32) -> Result<Self, DbError> {
        if !url.starts_with("sqlite:") {
            return Ok(Self::Postgres(Arc::new(PostgresPool::connect(url, connections.max(2)).await?)));
        }
        let options = SqliteConnectOptions::from_str(url)?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(RECOVERY_TIMEOUT);
        if !options.get_filename().exists() {
            return Err(DbError::DatabaseNotFound);
        }
        Ok(Self::Sqlite(Arc::new(SqliteFile::open(&options, connections.max(1)).await?)))
    }

    /// The database serialises concurrent migrations.
    pub(super) async fn migrate(url: &str) -> Result<(), DbError> {
        let migrator = migrations::migrator();
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(MIGRATION_TIMEOUT);
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
            let done = migrator.run(&pool).await;
            pool.close().await;
            done?;
        } else {
            let PostgresPool { pool, .. } = PostgresPool::connect(url, 1).await?;
            let done = migrator.run(&pool).await;
            pool.close().await;
            done?;
        }
        Ok(())
    }

    /// The newest migration that was applied; 0 without any.
    pub(super) async fn schema_version(&self) -> Result<i64, DbError> {
        const TABLE: &str = "SELECT 1 FROM _sqlx_migrations WHERE version < 0";
        const VERSION: &str = "SELECT COALESCE(max(version), 0) AS version FROM _sqlx_migrations WHERE success";
        match self.all(Sql::new_unchecked(TABLE), Vec::new()).await {
            Err(DbError::Failed(sqlx::Error::Database(error))) if is_missing_table(&*error) => return Ok(0),
            checked => drop(checked?),
        }
        match self.one(Sql::new_unchecked(VERSION), Vec::new()).await? {
            Some(row) => row.int("version"),
            None => Ok(0),
        }
    }

    /// Where the rows of a copy come from that `signpost copy` has started and not finished (see `copy::target`).
    pub(super) async fn unfinished_copy_of(&self) -> Result<Option<String>, DbError> {
        let is_there = match self {
            Self::Sqlite(_) => "SELECT name FROM sqlite_master WHERE name = 'unfinished_copy'",
            Self::Postgres(_) => "SELECT to_regclass('unfinished_copy')::text AS name",
        };
        let found = self.one(Sql::new_unchecked(is_there), values![]).await?;
        if found.map(|row| row.opt_text("name")).transpose()?.flatten().is_none() {
            return Ok(None);
        }
        let row = self.one(Sql::new_unchecked("SELECT origin FROM unfinished_copy"), values![]).await?;
        row.map(|row| row.text("origin")).transpose()
    }

    /// Whether the program that wrote this newer schema marked it as usable by programs of our schema.
    async fn is_compatible(&self, version: i64) -> Result<bool, DbError> {
        let row = self.one(OLDEST_PROGRAM, values![version]).await?;
        let oldest = row.map(|row| row.int("oldest_program")).transpose()?;
        Ok(oldest.is_some_and(|oldest| oldest <= migrations::LATEST))
    }

    /// Tunes SQLite for a bulk import, or back: it caches more pages, checkpoints less often and keeps statement journals in
    /// memory. PostgreSQL needs nothing.
    pub async fn set_bulk_mode(&self, enabled: bool) -> Result<(), DbError> {
        let Self::Sqlite(file) = self else { return Ok(()) };
        let pragmas = if enabled {
            ["PRAGMA cache_size = -65536", "PRAGMA wal_autocheckpoint = 65536", "PRAGMA temp_store = memory"]
        } else {
            ["PRAGMA cache_size = -2000", "PRAGMA wal_autocheckpoint = 2048", "PRAGMA temp_store = default"]
        };
        let mut slot = file.writer.acquire_alone().await?;
        for pragma in pragmas {
            let done = sqlx::query(pragma).execute(slot.executor()?).await;
            slot.check(done)?;
        }
        Ok(())
    }

    /// Whether another process waits for the write lock (SQLite only).
    pub fn has_waiting_writers(&self) -> bool {
        matches!(self, Self::Sqlite(file) if file.writer_queue.has_waiting_writers())
    }

    /// Lets waiting writers go first (SQLite only). Hold no transaction.
    pub async fn yield_to_waiters(&self) {
        if let Self::Sqlite(file) = self {
            file.writer_queue.yield_to_waiters().await;
        }
    }

    /// Closes all connections after running statements have finished.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(file) => file.close().await,
            Self::Postgres(postgres) => postgres.pool.close().await,
        }
    }
}

/// Creates a missing database file. Only its owner can read it; SQLite gives its other files the same permissions.
pub(super) fn create_private(path: &Path) -> Result<(), sqlx::Error> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(sqlx::Error::Io(error)),
    }
}

fn is_missing_table(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| code == "42P01") || error.message().starts_with("no such table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_is_not_settled_while_a_change_is_open() {
        let counter = Arc::new(ChangeCounter::default());
        assert_eq!(counter.settled(), Some(0));
        let (one, two) = (Change::new(&counter), Change::new(&counter));
        drop(one);
        assert_eq!(counter.settled(), None);
        drop(two);
        assert_eq!(counter.settled(), Some(2));
    }
}
