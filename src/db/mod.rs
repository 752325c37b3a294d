//! SQLite or PostgreSQL behind one handle, and how we write.
//!
//! Statements are constants with `$1` parameters that both databases take; values are text and 64-bit integers only.
//! A transaction writes first (see ARCHITECTURE.md): read-then-write loses updates on one database and fails on the other.

mod bulk_insert;
mod migrations;
mod row;
mod writer_queue;

use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Arguments, AssertSqlSafe, Database, Encode, PgPool, Postgres, Sqlite, SqlitePool, Transaction, Type};

use self::writer_queue::WriterQueue;
pub use bulk_insert::{BulkInsert, ROWS_PER_STATEMENT};
pub use row::{Row, Value};

/// Why a database call failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A row with this key exists already.
    #[error("the row exists already")]
    Conflict(#[source] sqlx::Error),
    /// Anything else: the database cannot be reached, is broken, or is not at the expected version.
    #[error("the database failed")]
    Failed(#[from] sqlx::Error),
    /// There is no such file, and none may be made.
    #[error("there is no such database yet: `signpost migrate` makes it")]
    DatabaseNotFound,
    /// The database has another schema than this program.
    #[error("the database's schema is not that of this program: run `signpost migrate`")]
    SchemaMismatch,
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

fn classify(error: sqlx::Error) -> DbError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => DbError::Conflict(error),
        _ => DbError::Failed(error),
    }
}

/// A database.
#[derive(Clone, Debug)]
pub enum Db {
    /// One file, one writer.
    Sqlite {
        /// Connections that read.
        read: SqlitePool,
        /// The one connection that writes.
        write: SqlitePool,
        /// Shows who waits to write.
        writer_queue: WriterQueue,
    },
    /// A server.
    Postgres(PgPool),
}

/// What to do about the database's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Bring it up to date; make an SQLite file that is not there.
    Migrate,
    /// Refuse one that is not up to date, and make nothing: for commands that only look.
    RequireCurrent,
}

/// A transaction that writes.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite, begun as `IMMEDIATE`: it holds the write lock from the start.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

/// Waiting longer than this for a connection is a failure: people are waiting.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a writer waits for another process to finish writing to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Another process is writing (SQLite's result codes 5, 261 and 517).
fn is_busy(error: &DbError) -> bool {
    let DbError::Failed(sqlx::Error::Database(error)) = error else { return false };
    error.code().is_some_and(|code| matches!(&*code, "5" | "261" | "517"))
}

/// Soon: who writes much leaves short gaps.
async fn wait_before_retry() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The values of a statement, in one list: `Query::bind` moves the whole of itself for each.
fn arguments<'v, D: Database, V: IntoIterator<Item = Value>>(values: V) -> Result<D::Arguments, DbError>
where
    String: Encode<'v, D> + Type<D>,
    i64: Encode<'v, D> + Type<D>,
    Option<String>: Encode<'v, D> + Type<D>,
    Option<i64>: Encode<'v, D> + Type<D>,
{
    let values = values.into_iter();
    let mut arguments = D::Arguments::default();
    arguments.reserve(values.size_hint().0, 0);
    for value in values {
        let added = match value {
            Value::Text(text) => arguments.add(text),
            Value::Int(number) => arguments.add(number),
            Value::OptText(text) => arguments.add(text),
            Value::OptInt(number) => arguments.add(number),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

macro_rules! all {
    ($kind:ident, $sql:expr, $values:expr, $on:expr) => {
        sqlx::query_with($sql, arguments::<$kind, _>($values)?)
            .fetch_all($on)
            .await
            .map(|rows| rows.into_iter().map(Row::from).collect())
            .map_err(classify)
    };
}

macro_rules! run {
    ($kind:ident, $sql:expr, $values:expr, $on:expr) => {
        sqlx::query_with($sql, arguments::<$kind, _>($values)?)
            .execute($on)
            .await
            .map(|done| done.rows_affected())
            .map_err(classify)
    };
}

impl Db {
    /// Opens a database, `sqlite:PATH` or `postgres://…`, and looks after its schema.
    ///
    /// # Errors
    /// A bad address, no answer, or a schema that is not (and may not be) brought up to date.
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
            .busy_timeout(Duration::from_secs(5));
        // 8 MiB are written before they are moved from the log to the file.
        let writing = options.clone().pragma("wal_autocheckpoint", "2048");
        let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).idle_timeout(None).max_lifetime(None);
        let writer_queue = WriterQueue::for_database(options.get_filename());
        if !options.get_filename().exists() {
            return Err(DbError::DatabaseNotFound);
        }
        let write = pool().max_connections(1).connect_with(writing).await?;
        // Opened patiently, since a killed process leaves a log to be read; from here on waiting is done by `run` and `begin`:
        // SQLite itself looks again at growing intervals and misses short gaps.
        sqlx::query("PRAGMA busy_timeout = 1").execute(&write).await?;
        let read = pool().max_connections(connections.max(1)).connect_with(options.read_only(true)).await?;
        Ok(Self::Sqlite { read, write, writer_queue })
    }

    /// Two at once are serialised by the database.
    async fn migrate(url: &str) -> Result<(), DbError> {
        let migrator = migrations::migrator();
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(Duration::from_secs(30));
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

    /// Prepares for writing very much, or ends that: more pages are kept and written before they are moved from the log to the
    /// file, and what undoes half a statement stays in memory.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_bulk_mode(&self, enabled: bool) -> Result<(), DbError> {
        if let Self::Sqlite { .. } = self {
            let pragmas = if enabled {
                ["PRAGMA cache_size = -65536", "PRAGMA wal_autocheckpoint = 65536", "PRAGMA temp_store = memory"]
            } else {
                ["PRAGMA cache_size = -2000", "PRAGMA wal_autocheckpoint = 2048", "PRAGMA temp_store = default"]
            };
            for pragma in pragmas {
                self.run(pragma, Vec::new()).await?;
            }
        }
        Ok(())
    }

    /// Whether somebody waits for a transaction to end before writing.
    pub fn has_waiting_writers(&self) -> bool {
        matches!(self, Self::Sqlite { writer_queue, .. } if writer_queue.has_waiting_writers())
    }

    /// Lets those write who wait for it.
    pub async fn yield_to_waiters(&self) {
        if let Self::Sqlite { writer_queue, .. } = self {
            writer_queue.yield_to_waiters().await;
        }
    }

    async fn check_schema(&self) -> Result<(), DbError> {
        const LATEST: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";
        let latest = self.one(LATEST, Vec::new()).await.map_err(|_| DbError::SchemaMismatch)?;
        let latest = latest.map(|row| row.opt_int(0)).transpose()?.flatten();
        if latest == Some(migrations::LATEST) { Ok(()) } else { Err(DbError::SchemaMismatch) }
    }

    /// Reads rows.
    ///
    /// # Errors
    /// The database failed.
    pub async fn all(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, DbError> {
        match self {
            Self::Sqlite { read, .. } => all!(Sqlite, sql, values, read),
            Self::Postgres(pool) => all!(Postgres, sql, values, pool),
        }
    }

    /// Reads the first row.
    ///
    /// # Errors
    /// The database failed.
    pub async fn one(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, DbError> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// Reads rows by a value and a list of keys: `head` has `$1` for the value, and ends with `IN`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn all_in(&self, head: &'static str, value: Value, keys: &[&str]) -> Result<Vec<Row>, DbError> {
        let values = with_list(value, keys);
        match self {
            Self::Sqlite { read, .. } => all!(Sqlite, AssertSqlSafe(format!("{head} ({SQLITE_LIST})")), values, read),
            Self::Postgres(pool) => all!(Postgres, AssertSqlSafe(format!("{head} ({POSTGRES_LIST})")), values, pool),
        }
    }

    /// Writes by a single statement; answers how many rows it touched.
    ///
    /// # Errors
    /// The database failed, or a key exists already.
    pub async fn run(&self, sql: &'static str, values: Vec<Value>) -> Result<u64, DbError> {
        match self {
            Self::Sqlite { write, writer_queue, .. } => {
                let deadline = Instant::now() + BUSY_TIMEOUT;
                let mut ticket = None;
                loop {
                    let done: Result<u64, DbError> = run!(Sqlite, sql, values.clone(), write);
                    match done {
                        Err(error) if is_busy(&error) && Instant::now() < deadline => {
                            ticket = ticket.or_else(|| writer_queue.enqueue());
                            wait_before_retry().await;
                        }
                        other => return other,
                    }
                }
            }
            Self::Postgres(pool) => run!(Postgres, sql, values, pool),
        }
    }

    /// Begins a transaction. Write first, or compare and set.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        let (write, writer_queue) = match self {
            Self::Sqlite { write, writer_queue, .. } => (write, writer_queue),
            Self::Postgres(pool) => return Ok(Tx::Postgres(pool.begin().await?)),
        };
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let mut ticket = None;
        loop {
            match write.begin_with("BEGIN IMMEDIATE").await.map_err(classify) {
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    ticket = ticket.or_else(|| writer_queue.enqueue());
                    wait_before_retry().await;
                }
                begun => return Ok(Tx::Sqlite(begun?)),
            }
        }
    }

    /// Closes all connections; what is under way finishes first.
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

/// The keys of a JSON list.
const SQLITE_LIST: &str = "SELECT value FROM json_each($2)";
const POSTGRES_LIST: &str = "SELECT value FROM json_array_elements_text($2::json)";

fn with_list(value: Value, keys: &[&str]) -> Vec<Value> {
    vec![value, Value::Text(serde_json::Value::from(keys).to_string())]
}

impl Tx {
    /// Reads rows inside the transaction.
    ///
    /// # Errors
    /// The database failed.
    pub async fn all(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, DbError> {
        match self {
            Self::Sqlite(tx) => all!(Sqlite, sql, values, &mut **tx),
            Self::Postgres(tx) => all!(Postgres, sql, values, &mut **tx),
        }
    }

    /// Reads the first row.
    ///
    /// # Errors
    /// The database failed.
    pub async fn one(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, DbError> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// Writes; answers how many rows were touched.
    ///
    /// # Errors
    /// The database failed, or a key exists already.
    pub async fn run(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, DbError> {
        match self {
            Self::Sqlite(tx) => run!(Sqlite, sql, values, &mut **tx),
            Self::Postgres(tx) => run!(Postgres, sql, values, &mut **tx),
        }
    }

    /// Reads rows by a value and a list of keys: `head` has `$1` for the value, and ends with `IN`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn all_in(&mut self, head: &'static str, value: Value, keys: &[&str]) -> Result<Vec<Row>, DbError> {
        let values = with_list(value, keys);
        match self {
            Self::Sqlite(tx) => all!(Sqlite, AssertSqlSafe(format!("{head} ({SQLITE_LIST})")), values, &mut **tx),
            Self::Postgres(tx) => all!(Postgres, AssertSqlSafe(format!("{head} ({POSTGRES_LIST})")), values, &mut **tx),
        }
    }

    /// Makes it last. A transaction that is dropped instead leaves nothing.
    ///
    /// # Errors
    /// The database failed; whether it lasted is then not known.
    pub async fn commit(self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}
