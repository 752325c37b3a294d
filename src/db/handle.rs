//! Opens a database and checks or migrates its schema.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::error::DbError;
use super::migrations;
use super::writer_queue::WriterQueue;

#[derive(Clone, Debug)]
pub enum Db {
    Sqlite {
        /// Read-only connections.
        read: SqlitePool,
        /// A single connection: SQLite allows one writer.
        write: SqlitePool,
        writer_queue: WriterQueue,
    },
    Postgres(PgPool),
}

/// How [`Db::open`] treats the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Migrate it, and create a missing SQLite file.
    Migrate,
    /// Fail unless it is current, and create nothing: for commands that only read.
    RequireCurrent,
}

/// A write transaction. Dropping it rolls it back.
#[derive(Debug)]
pub enum Tx {
    /// Begun as `IMMEDIATE`: it holds the write lock from the start.
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the first connection waits while SQLite recovers the log of a killed process.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a migration waits for another process that writes or migrates.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(30);

impl Db {
    /// Opens `sqlite:PATH` or `postgres://…`.
    pub async fn open(url: &str, connections: u32, schema: Schema) -> Result<Self, DbError> {
        if schema == Schema::Migrate {
            Self::migrate(url).await?;
        }
        let db = Self::connect(url, connections).await?;
        if schema == Schema::RequireCurrent {
            db.check_schema().await?;
        }
        Ok(db)
    }

    async fn connect(url: &str, connections: u32) -> Result<Self, DbError> {
        if !url.starts_with("sqlite:") {
            let pool = PgPoolOptions::new().max_connections(connections.max(2)).acquire_timeout(ACQUIRE_TIMEOUT);
            return Ok(Self::Postgres(pool.connect(url).await?));
        }
        let options = SqliteConnectOptions::from_str(url)?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(RECOVERY_TIMEOUT);
        // Pages of 4 KiB: the log grows to 8 MiB before SQLite copies it into the database file.
        let writing = options.clone().pragma("wal_autocheckpoint", "2048");
        let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).idle_timeout(None).max_lifetime(None);
        let writer_queue = WriterQueue::for_database(options.get_filename());
        if !options.get_filename().exists() {
            return Err(DbError::DatabaseNotFound);
        }
        let write = pool().max_connections(1).connect_with(writing).await?;
        // `run` and `begin` retry by themselves: SQLite polls at growing intervals and misses the short gaps of a busy writer.
        sqlx::query("PRAGMA busy_timeout = 1").execute(&write).await?;
        let read = pool().max_connections(connections.max(1)).connect_with(options.read_only(true)).await?;
        Ok(Self::Sqlite { read, write, writer_queue })
    }

    /// The database serialises concurrent migrations.
    async fn migrate(url: &str) -> Result<(), DbError> {
        let migrator = migrations::migrator();
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(MIGRATION_TIMEOUT);
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
            let done = migrator.run(&pool).await;
            pool.close().await;
            done?;
        } else {
            let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).connect(url).await?;
            let done = migrator.run(&pool).await;
            pool.close().await;
            done?;
        }
        Ok(())
    }

    async fn check_schema(&self) -> Result<(), DbError> {
        const LATEST: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";
        let latest: Result<Option<i64>, sqlx::Error> = match self {
            Self::Sqlite { read, .. } => sqlx::query_scalar(LATEST).fetch_one(read).await,
            Self::Postgres(pool) => sqlx::query_scalar(LATEST).fetch_one(pool).await,
        };
        match latest {
            Ok(Some(migrations::LATEST)) => Ok(()),
            _ => Err(DbError::SchemaMismatch),
        }
    }

    /// Tunes SQLite for a bulk import, or back: it caches more pages, checkpoints less often and keeps statement journals in
    /// memory. PostgreSQL needs nothing.
    pub async fn set_bulk_mode(&self, enabled: bool) -> Result<(), DbError> {
        let Self::Sqlite { write, .. } = self else { return Ok(()) };
        let pragmas = if enabled {
            ["PRAGMA cache_size = -65536", "PRAGMA wal_autocheckpoint = 65536", "PRAGMA temp_store = memory"]
        } else {
            ["PRAGMA cache_size = -2000", "PRAGMA wal_autocheckpoint = 2048", "PRAGMA temp_store = default"]
        };
        for pragma in pragmas {
            sqlx::query(pragma).execute(write).await?;
        }
        Ok(())
    }

    /// Whether another process waits for the write lock (SQLite only).
    pub fn has_waiting_writers(&self) -> bool {
        matches!(self, Self::Sqlite { writer_queue, .. } if writer_queue.has_waiting_writers())
    }

    /// Lets waiting writers go first (SQLite only). Hold no transaction.
    pub async fn yield_to_waiters(&self) {
        if let Self::Sqlite { writer_queue, .. } = self {
            writer_queue.yield_to_waiters().await;
        }
    }

    /// Closes all connections after running statements have finished.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}
