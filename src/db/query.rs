//! Runs statements, inside and outside transactions.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::{Arguments, AssertSqlSafe, Database, Encode, Postgres, Sqlite, Type};

use super::connection::PostgresTransaction;
use super::error::{DbError, is_busy};
use super::group_commit::WriteTransaction;
use super::handle::{Db, Open, Tx};
use super::row::{Row, Value};
use super::sqlite::SqliteFile;
use super::statement::Sql;
use crate::telemetry::traces::{self, NewSpan, OpenSpan};

/// How long a writer waits for another process that writes to the same SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows that [`Tx::for_each_chunk`] hands over at a time: as many as one bulk insert takes.
const ROWS_PER_CHUNK: usize = 100;

/// Short, because a bulk import leaves short gaps.
async fn wait_before_retry() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Collects all values at once: `Query::bind` moves the whole query for each value.
pub(super) fn arguments<'v, D: Database, V: IntoIterator<Item = Value>>(values: V) -> Result<D::Arguments, DbError>
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
    ($kind:ident, $sql:expr, $values:expr, $on:expr) => {{
        let on = $on;
        let result = sqlx::query_with($sql, arguments::<$kind, _>($values)?).fetch_all(on.executor()?).await;
        on.check(result).map(|rows| rows.into_iter().map(Row::from).collect())
    }};
}

macro_rules! run {
    ($kind:ident, $sql:expr, $values:expr, $on:expr) => {{
        let on = $on;
        let result = sqlx::query_with($sql, arguments::<$kind, _>($values)?).execute(on.executor()?).await;
        on.check(result).map(|done| done.rows_affected())
    }};
}

/// Reads rows while the database produces them.
macro_rules! chunks {
    ($sql:expr, $on:expr, $act:expr) => {{
        let on = $on;
        let mut rows = sqlx::query(AssertSqlSafe($sql)).fetch(on.executor()?);
        let mut chunk = Vec::with_capacity(ROWS_PER_CHUNK);
        let result = loop {
            match rows.try_next().await {
                Ok(Some(row)) => chunk.push(Row::from(row)),
                ended => break ended.map(drop),
            }
            if chunk.len() == ROWS_PER_CHUNK {
                $act(std::mem::replace(&mut chunk, Vec::with_capacity(ROWS_PER_CHUNK))).await?;
            }
        };
        drop(rows);
        on.check(result)?;
        if chunk.is_empty() { Ok(()) } else { $act(chunk).await }
    }};
}

/// Reads from PostgreSQL. The statement is abandoned when the circuit breaker opens: a server that has stopped never answers. It is
/// repeated once if its connection had broken while it was idle.
macro_rules! read {
    ($pool:expr, $sql:expr, $values:expr) => {{
        let reading = async {
            let values: Vec<Value> = $values;
            let first = {
                let mut connection = $pool.acquire().await?;
                all!(Postgres, $sql, values.clone(), &mut connection)
            };
            match first.map_err(|error| $pool.report(error)) {
                Err(error) if error.is_broken_connection() => {
                    let mut connection = $pool.acquire().await?;
                    all!(Postgres, $sql, values, &mut connection)
                }
                done => done,
            }
        };
        tokio::select! {
            biased;
            done = reading => done.map_err(|error| $pool.report(error)),
            away = $pool.opened() => Err(away),
        }
    }};
}

/// The keys of `all_in` as rows; they are the second parameter, a JSON list.
const SQLITE_LIST: &str = "(SELECT value FROM json_each($2))";
const POSTGRES_LIST: &str = "(SELECT value FROM json_array_elements_text($2::json))";

/// Begins the span of a statement.
fn begin_span(system: &'static str, statement: &'static str) -> OpenSpan {
    traces::begin(|| NewSpan::statement(system, statement))
}

/// Ends the span of a statement.
fn end_span<T>(span: &OpenSpan, done: Result<T, DbError>) -> Result<T, DbError> {
    if let Err(error) = &done {
        span.fail(error.kind());
    }
    done
}

/// The text of a statement that is about to run, as a trace event of the caller's thread. It has no values.
fn traced(sql: Sql) -> &'static str {
    tracing::trace!(target: "signpost::statements", statement = sql.text());
    sql.text()
}

fn with_list(sql: Sql, list: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(traced(sql).replace("{keys}", list))
}

fn list_values(value: Value, keys: &[&str]) -> Vec<Value> {
    vec![value, Value::Text(serde_json::Value::from(keys).to_string())]
}

/// One statement that writes to SQLite. It joins the group of transactions that others wait with (see `group_commit`), and returns
/// when that is committed, whatever it has done: it may have seen what others wrote.
async fn run_alone_or_in_group(file: &SqliteFile, text: &'static str, values: Vec<Value>) -> Result<u64, DbError> {
    let mut slot = file.waits.write.measure(file.writer.acquire()).await?;
    if slot.has_group() {
        let done = run!(Sqlite, text, values, &mut slot);
        if slot.has_group() {
            slot.commit_with_group().await?;
        }
        return done;
    }
    if slot.is_alone() {
        return run!(Sqlite, text, values, &mut slot);
    }
    let mut tx = slot.begin(true).await?;
    let affected = run!(Sqlite, text, values, tx.connection()?)?;
    tx.commit().await?;
    Ok(affected)
}

const SQLITE: &str = "sqlite";
const POSTGRES: &str = "postgresql";

impl Db {
    /// The name by the semantic conventions of OpenTelemetry.
    fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => SQLITE,
            Self::Postgres(_) => POSTGRES,
        }
    }

    pub async fn all(&self, sql: Sql, values: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let span = begin_span(self.system(), sql.text());
        end_span(&span, self.fetch(sql, values).await)
    }

    async fn fetch(&self, sql: Sql, values: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let text = traced(sql);
        match self {
            Self::Sqlite(file) => all!(Sqlite, text, values, &mut file.reader().await?),
            Self::Postgres(pool) => read!(pool, text, values),
        }
    }

    /// The first row.
    pub async fn one(&self, sql: Sql, values: Vec<Value>) -> Result<Option<Row>, DbError> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// Reads rows by a list of keys of any length. The statement has `$1` for `value` and `{keys}` for the list.
    pub async fn all_in(&self, sql: Sql, value: Value, keys: &[&str]) -> Result<Vec<Row>, DbError> {
        let span = begin_span(self.system(), sql.text());
        end_span(&span, self.fetch_in(sql, value, keys).await)
    }

    async fn fetch_in(&self, sql: Sql, value: Value, keys: &[&str]) -> Result<Vec<Row>, DbError> {
        let values = list_values(value, keys);
        match self {
            Self::Sqlite(file) => all!(Sqlite, with_list(sql, SQLITE_LIST), values, &mut file.reader().await?),
            Self::Postgres(pool) => read!(pool, with_list(sql, POSTGRES_LIST), values),
        }
    }

    /// Runs one statement that writes, without a transaction of its own. Returns how many rows it affected.
    pub async fn run(&self, sql: Sql, values: Vec<Value>) -> Result<u64, DbError> {
        let span = begin_span(self.system(), sql.text());
        end_span(&span, self.execute(sql, values).await)
    }

    async fn execute(&self, sql: Sql, values: Vec<Value>) -> Result<u64, DbError> {
        let text = traced(sql);
        match self {
            Self::Sqlite(file) => {
                let deadline = Instant::now() + BUSY_TIMEOUT;
                let mut ticket = None;
                loop {
                    match run_alone_or_in_group(file, text, values.clone()).await {
                        Err(error) if is_busy(&error) && Instant::now() < deadline => {
                            ticket = ticket.or_else(|| file.writer_queue.enqueue());
                            wait_before_retry().await;
                        }
                        other => return other.map_err(|error| self.note_write_failure(error)),
                    }
                }
            }
            Self::Postgres(pool) => {
                let done: Result<u64, DbError> = run!(Postgres, text, values, &mut pool.acquire_tested().await?);
                done.map_err(|error| self.note_write_failure(pool.report(error)))
            }
        }
    }

    /// Begins a transaction. Its first statement must write, or every write in it must be a compare-and-set.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.begin_as(false).await
    }

    /// Begins a transaction that may share its commit with others, so that many of them do not wait for the disk one after the
    /// other. The caller must commit before it acts on what the transaction has read or could not write: another transaction of
    /// the group may have written it, and is committed at the same time.
    pub async fn begin_shared(&self) -> Result<Tx, DbError> {
        self.begin_as(true).await
    }

    async fn begin_as(&self, is_shared: bool) -> Result<Tx, DbError> {
        let span = begin_span(self.system(), "BEGIN");
        end_span(&span, self.open_transaction(is_shared).await)
    }

    async fn open_transaction(&self, is_shared: bool) -> Result<Tx, DbError> {
        match self {
            Self::Sqlite(file) => {
                let begun = file.waits.write.measure(begin_immediate(file, is_shared)).await;
                let begun = begun.map_err(|error| self.note_write_failure(error))?;
                Ok(Tx::new(self, Open::Sqlite(begun)))
            }
            Self::Postgres(pool) => {
                let begun = match PostgresTransaction::begin(pool.acquire().await?).await {
                    Err(error) if error.is_broken_connection() => {
                        pool.report(error);
                        PostgresTransaction::begin(pool.acquire().await?).await
                    }
                    begun => begun,
                };
                begun.map(|tx| Tx::new(self, Open::Postgres(tx))).map_err(|error| pool.report(error))
            }
        }
    }
}

/// Begins a transaction that holds the write lock from the start.
async fn begin_immediate(file: &SqliteFile, is_shared: bool) -> Result<WriteTransaction, DbError> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    let mut ticket = None;
    loop {
        let slot = if is_shared { file.writer.acquire().await? } else { file.writer.acquire_alone().await? };
        match slot.begin(is_shared).await {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                ticket = ticket.or_else(|| file.writer_queue.enqueue());
                wait_before_retry().await;
            }
            begun => return begun,
        }
    }
}

impl Tx {
    fn system(&self) -> &'static str {
        match self.open {
            Open::Sqlite(_) => SQLITE,
            Open::Postgres(_) => POSTGRES,
        }
    }

    pub async fn all(&mut self, sql: Sql, values: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let span = begin_span(self.system(), sql.text());
        end_span(&span, self.fetch(sql, values).await)
    }

    async fn fetch(&mut self, sql: Sql, values: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let text = traced(sql);
        match &mut self.open {
            Open::Sqlite(tx) => all!(Sqlite, text, values, tx.connection()?),
            Open::Postgres(tx) => all!(Postgres, text, values, tx.connection()?),
        }
    }

    /// The first row.
    pub async fn one(&mut self, sql: Sql, values: Vec<Value>) -> Result<Option<Row>, DbError> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// Reads rows by a list of keys, as [`Db::all_in`] does.
    pub async fn all_in(&mut self, sql: Sql, value: Value, keys: &[&str]) -> Result<Vec<Row>, DbError> {
        let span = begin_span(self.system(), sql.text());
        end_span(&span, self.fetch_in(sql, value, keys).await)
    }

    async fn fetch_in(&mut self, sql: Sql, value: Value, keys: &[&str]) -> Result<Vec<Row>, DbError> {
        let values = list_values(value, keys);
        match &mut self.open {
            Open::Sqlite(tx) => all!(Sqlite, with_list(sql, SQLITE_LIST), values, tx.connection()?),
            Open::Postgres(tx) => all!(Postgres, with_list(sql, POSTGRES_LIST), values, tx.connection()?),
        }
    }

    /// Returns how many rows the statement affected.
    pub async fn run(&mut self, sql: Sql, values: Vec<Value>) -> Result<u64, DbError> {
        let span = begin_span(self.system(), sql.text());
        end_span(&span, self.execute(sql, values).await)
    }

    async fn execute(&mut self, sql: Sql, values: Vec<Value>) -> Result<u64, DbError> {
        let text = traced(sql);
        let done = match &mut self.open {
            Open::Sqlite(tx) => run!(Sqlite, text, values, tx.connection()?),
            Open::Postgres(tx) => run!(Postgres, text, values, tx.connection()?),
        };
        done.map_err(|error| self.db.note_write_failure(error))
    }

    /// The rows of a statement with a text of this module, all at once.
    pub(super) async fn all_by_text(&mut self, text: String) -> Result<Vec<Row>, DbError> {
        let none = Vec::<Value>::new();
        match &mut self.open {
            Open::Sqlite(tx) => all!(Sqlite, AssertSqlSafe(text), none, tx.connection()?),
            Open::Postgres(tx) => all!(Postgres, AssertSqlSafe(text), none, tx.connection()?),
        }
    }

    /// The same, for a statement that writes. Returns how many rows it affected.
    pub(super) async fn run_by_text(&mut self, text: String) -> Result<u64, DbError> {
        let none = Vec::<Value>::new();
        match &mut self.open {
            Open::Sqlite(tx) => run!(Sqlite, AssertSqlSafe(text), none, tx.connection()?),
            Open::Postgres(tx) => run!(Postgres, AssertSqlSafe(text), none, tx.connection()?),
        }
    }

    /// Reads any number of rows in constant memory: at most [`ROWS_PER_CHUNK`] at a time.
    pub(super) async fn for_each_chunk<E: From<DbError>>(
        &mut self,
        text: String,
        mut act: impl AsyncFnMut(Vec<Row>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.open {
            Open::Sqlite(tx) => chunks!(text, tx.connection()?, act),
            Open::Postgres(tx) => chunks!(text, tx.connection()?, act),
        }
    }

    /// # Errors
    /// After an error the caller cannot know whether the transaction was committed.
    pub async fn commit(self) -> Result<(), DbError> {
        let span = begin_span(self.system(), "COMMIT");
        let done = match self.open {
            Open::Sqlite(tx) => tx.commit().await,
            Open::Postgres(tx) => tx.commit().await,
        };
        end_span(&span, done.map_err(|error| self.db.note_write_failure(error)))
    }
}
