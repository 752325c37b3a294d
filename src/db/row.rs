//! Values in and rows out: text and 64-bit integers, which both databases have.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::DbError;
use signpost_core::Timestamp;

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Int(i64),
    /// Text or null.
    OptText(Option<String>),
    /// A number or null.
    OptInt(Option<i64>),
}

macro_rules! from {
    ($($from:ty => |$value:ident| $to:expr;)*) => {
        $(impl From<$from> for Value { fn from($value: $from) -> Self { $to } })*
    };
}

from! {
    &str => |v| Value::Text(v.to_owned());
    String => |v| Value::Text(v);
    &String => |v| Value::Text(v.clone());
    i64 => |v| Value::Int(v);
    u8 => |v| Value::Int(v.into());
    bool => |v| Value::Int(v.into());
    Timestamp => |v| Value::Int(v.millis());
    Option<String> => |v| Value::OptText(v);
    Option<&str> => |v| Value::OptText(v.map(str::to_owned));
    Option<i64> => |v| Value::OptInt(v);
    Option<Timestamp> => |v| Value::OptInt(v.map(Timestamp::millis));
}

/// The parameters of a statement, in order.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Value::from($value)),*] };
}

/// A column of a row: its name, or its position counted from 0.
pub trait Column: sqlx::ColumnIndex<SqliteRow> + sqlx::ColumnIndex<PgRow> {}
impl<C: sqlx::ColumnIndex<SqliteRow> + sqlx::ColumnIndex<PgRow>> Column for C {}

/// A row of a result.
#[derive(Debug)]
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

macro_rules! column {
    ($row:expr, $at:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($at),
            Row::Postgres(row) => row.try_get($at),
        }
        .map_err(DbError::Failed)
    };
}

impl Row {
    /// A text column.
    ///
    /// # Errors
    /// The column is absent, null or of another type.
    pub fn text(&self, at: impl Column) -> Result<String, DbError> {
        column!(self, at)
    }

    /// A text column that may be null.
    ///
    /// # Errors
    /// The column is absent or of another type.
    pub fn opt_text(&self, at: impl Column) -> Result<Option<String>, DbError> {
        column!(self, at)
    }

    /// A number column.
    ///
    /// # Errors
    /// The column is absent, null or of another type.
    pub fn int(&self, at: impl Column) -> Result<i64, DbError> {
        column!(self, at)
    }

    /// A number column that may be null.
    ///
    /// # Errors
    /// The column is absent or of another type.
    pub fn opt_int(&self, at: impl Column) -> Result<Option<i64>, DbError> {
        column!(self, at)
    }

    /// A column with a moment in time.
    ///
    /// # Errors
    /// The column is absent, null or of another type.
    pub fn time(&self, at: impl Column) -> Result<Timestamp, DbError> {
        self.int(at).map(Timestamp::from_millis)
    }

    /// A column with a moment in time that may be null.
    ///
    /// # Errors
    /// The column is absent or of another type.
    pub fn opt_time(&self, at: impl Column) -> Result<Option<Timestamp>, DbError> {
        Ok(self.opt_int(at)?.map(Timestamp::from_millis))
    }
}
