//! Many rows by one statement, made ready while the database is busy with another.

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Postgres, Sqlite};

use super::{Db, DbError, Tx, Value, arguments, classify};

/// Rows a statement: more would make its text and its parameters the larger part of the work.
pub const ROWS_PER_STATEMENT: usize = 100;

/// A statement that writes rows, with its values.
#[derive(Debug)]
pub struct BulkInsert {
    sql: String,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

impl Db {
    /// A statement that writes these rows, at most [`ROWS_PER_STATEMENT`]; none without rows. `head` ends with `VALUES`, `tail` says
    /// what happens to rows that exist.
    ///
    /// # Errors
    /// A value that the database cannot take.
    pub fn bulk_insert(&self, head: &str, rows: Vec<Vec<Value>>, tail: &str) -> Result<Option<BulkInsert>, DbError> {
        let Some(width) = rows.first().map(Vec::len) else { return Ok(None) };
        let mut sql = String::with_capacity(head.len() + tail.len() + rows.len() * (width * 7 + 4));
        sql.push_str(head);
        for row in 0..rows.len() {
            sql.push_str(if row == 0 { " (" } else { ", (" });
            for at in row * width + 1..=(row + 1) * width {
                // SQLite looks a numbered parameter up among all others; PostgreSQL has no others.
                match self {
                    Self::Sqlite { .. } => sql.push('?'),
                    Self::Postgres(_) => sql.push_str(&format!("${at}")),
                }
                sql.push_str(if at == (row + 1) * width { ")" } else { ", " });
            }
        }
        sql.push(' ');
        sql.push_str(tail);
        let values = rows.into_iter().flatten();
        let values = match self {
            Self::Sqlite { .. } => Values::Sqlite(arguments::<Sqlite, _>(values)?),
            Self::Postgres(_) => Values::Postgres(arguments::<Postgres, _>(values)?),
        };
        Ok(Some(BulkInsert { sql, values }))
    }
}

impl Tx {
    /// Writes rows; answers how many were touched.
    ///
    /// # Errors
    /// The database failed, or a key exists already and the statement does not say what then.
    pub async fn run_bulk_insert(&mut self, rows: BulkInsert) -> Result<u64, DbError> {
        let sql = AssertSqlSafe(rows.sql);
        let done = match (self, rows.values) {
            (Self::Sqlite(tx), Values::Sqlite(values)) => {
                sqlx::query_with(sql, values).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            (Self::Postgres(tx), Values::Postgres(values)) => {
                sqlx::query_with(sql, values).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            _ => Err(sqlx::Error::Configuration("rows made ready for another database".into())),
        };
        done.map_err(classify)
    }
}
