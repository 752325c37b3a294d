//! Inserts of many rows, prepared while the database is busy with another statement.

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Postgres, Sqlite};

use super::error::DbError;
use super::handle::{Db, Open, Tx};
use super::query::arguments;
use super::row::Value;
use super::statement::Sql;

/// More rows in one statement cost more for its text and parameters than they save.
pub const ROWS_PER_STATEMENT: usize = 100;

/// A statement that inserts rows, with their values.
#[derive(Debug)]
pub struct BulkInsert {
    text: String,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

impl Db {
    /// Prepares an insert of at most [`ROWS_PER_STATEMENT`] rows; `None` without rows. The statement has `{rows}` for the
    /// rows, after `VALUES`.
    pub fn bulk_insert(&self, sql: Sql, rows: Vec<Vec<Value>>) -> Result<Option<BulkInsert>, DbError> {
        self.bulk_insert_by_text(sql.text(), rows)
    }

    /// The same, for a statement with a text of this module.
    pub(super) fn bulk_insert_by_text(&self, sql: &str, rows: Vec<Vec<Value>>) -> Result<Option<BulkInsert>, DbError> {
        let Some(width) = rows.first().map(Vec::len) else { return Ok(None) };
        let (head, tail) = sql.split_once("{rows}").unwrap_or((sql, ""));
        let mut text = String::with_capacity(head.len() + tail.len() + rows.len() * (width * 7 + 4));
        text.push_str(head);
        for row in 0..rows.len() {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for at in row * width + 1..=(row + 1) * width {
                // SQLite compares a numbered parameter with all others, so `?` is faster; PostgreSQL knows only `$1`.
                match self {
                    Self::Sqlite(_) => text.push('?'),
                    Self::Postgres(_) => text.push_str(&format!("${at}")),
                }
                text.push_str(if at == (row + 1) * width { ")" } else { ", " });
            }
        }
        text.push_str(tail);
        let values = rows.into_iter().flatten();
        let values = match self {
            Self::Sqlite(_) => Values::Sqlite(arguments::<Sqlite, _>(values)?),
            Self::Postgres(_) => Values::Postgres(arguments::<Postgres, _>(values)?),
        };
        Ok(Some(BulkInsert { text, values }))
    }
}

impl Tx {
    /// Returns how many rows the statement affected.
    pub async fn run_bulk_insert(&mut self, insert: BulkInsert) -> Result<u64, DbError> {
        let text = AssertSqlSafe(insert.text);
        match (&mut self.open, insert.values) {
            (Open::Sqlite(tx), Values::Sqlite(values)) => {
                let on = tx.connection()?;
                let result = sqlx::query_with(text, values).execute(on.executor()?).await;
                on.check(result).map(|done| done.rows_affected())
            }
            (Open::Postgres(tx), Values::Postgres(values)) => {
                let on = tx.connection()?;
                let result = sqlx::query_with(text, values).execute(on.executor()?).await;
                on.check(result).map(|done| done.rows_affected())
            }
            _ => Err(sqlx::Error::Configuration("the insert was prepared for another database".into()).into()),
        }
    }
}
