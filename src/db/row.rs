//! Parameters and rows: text and 64-bit integers only, which both databases have.

use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::error::DbError;
use signpost_core::Timestamp;

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    Int(i64),
    OptText(Option<String>),
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

/// A row, read by column name. A column that is absent or has another type is an error, and so is a null column that is not
/// read as optional.
#[derive(Debug)]
pub enum Row {
    Sqlite(SqliteRow),
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

macro_rules! get {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            Row::Postgres(row) => row.try_get($column),
        }
        .map_err(DbError::Failed)
    };
}

impl Row {
    pub fn text(&self, column: &str) -> Result<String, DbError> {
        get!(self, column)
    }

    pub fn opt_text(&self, column: &str) -> Result<Option<String>, DbError> {
        get!(self, column)
    }

    pub fn int(&self, column: &str) -> Result<i64, DbError> {
        get!(self, column)
    }

    pub fn opt_int(&self, column: &str) -> Result<Option<i64>, DbError> {
        get!(self, column)
    }

    /// A value that is stored as JSON.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, DbError> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|error| {
            DbError::Failed(sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
        })
    }

    /// A text that stands for a value. One that `parse` does not know is an error, never a default.
    pub fn parsed<T>(&self, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, DbError> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| {
            let (index, source) = (column.to_owned(), format!("unknown value {text:?}").into());
            DbError::Failed(sqlx::Error::ColumnDecode { index, source })
        })
    }

    /// A number that is 0 for false.
    pub fn flag(&self, column: &str) -> Result<bool, DbError> {
        self.int(column).map(|number| number != 0)
    }

    /// A number of milliseconds since 1970.
    pub fn time(&self, column: &str) -> Result<Timestamp, DbError> {
        self.int(column).map(Timestamp::from_millis)
    }

    pub fn opt_time(&self, column: &str) -> Result<Option<Timestamp>, DbError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_millis))
    }
}
