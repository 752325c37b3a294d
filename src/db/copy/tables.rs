//! The tables that are copied: those that the migrations of this program create.

use std::collections::BTreeSet;
use std::str::FromStr;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Executor, Row as _};

use super::error::CopyError;
use super::fingerprint::Fingerprint;
use crate::db::error::DbError;
use crate::db::handle::Tx;
use crate::db::migrations;
use crate::db::row::{Row, Value};

/// A table, with its columns in the order in which they are copied.
#[derive(Debug)]
pub(super) struct Table {
    pub name: String,
    columns: Vec<Column>,
    references: BTreeSet<String>,
    /// The rows that the migrations insert.
    pub initial: Fingerprint,
}

#[derive(Debug)]
struct Column {
    name: String,
    is_text: bool,
}

impl Table {
    fn column_list(&self) -> String {
        self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn select(&self) -> String {
        format!("SELECT {} FROM \"{}\"", self.column_list(), self.name)
    }

    pub(super) fn count(&self) -> String {
        format!("SELECT count(*) AS count FROM \"{}\"", self.name)
    }

    /// For [`Db::bulk_insert`](crate::db::Db::bulk_insert).
    pub(super) fn insert(&self) -> String {
        format!("INSERT INTO \"{}\" ({}) VALUES {{rows}}", self.name, self.column_list())
    }

    pub(super) fn delete(&self) -> String {
        format!("DELETE FROM \"{}\"", self.name)
    }

    /// The values of a row that [`Table::select`] reads.
    pub(super) fn values(&self, row: &Row) -> Result<Vec<Value>, DbError> {
        let value = |column: &Column| {
            if column.is_text {
                row.opt_text(&column.name).map(Value::OptText)
            } else {
                row.opt_int(&column.name).map(Value::OptInt)
            }
        };
        self.columns.iter().map(value).collect()
    }

    pub(super) async fn fingerprint(&self, tx: &mut Tx) -> Result<Fingerprint, CopyError> {
        let mut found = Fingerprint::default();
        tx.for_each_chunk(self.select(), async |rows: Vec<Row>| {
            for row in rows {
                found.add(&self.values(&row)?);
            }
            Ok::<_, DbError>(())
        })
        .await
        .map_err(|error| self.failed(error))?;
        Ok(found)
    }

    pub(super) fn failed(&self, error: DbError) -> CopyError {
        CopyError::Table { table: self.name.clone(), error }
    }

    async fn read(name: String, schema: &mut SqliteConnection) -> Result<Self, DbError> {
        let described = format!("SELECT name, type FROM pragma_table_info('{name}')");
        let mut columns = Vec::new();
        for row in schema.fetch_all(AssertSqlSafe(described)).await? {
            let is_text = match row.try_get("type")? {
                "TEXT" => true,
                "BIGINT" => false,
                other => {
                    let unknown = format!("table {name} has a column of the type {other}");
                    return Err(sqlx::Error::Configuration(unknown.into()).into());
                }
            };
            columns.push(Column { name: row.try_get("name")?, is_text });
        }
        let referenced = format!("SELECT \"table\" FROM pragma_foreign_key_list('{name}')");
        let mut references = BTreeSet::new();
        for row in schema.fetch_all(AssertSqlSafe(referenced)).await? {
            references.insert(row.try_get("table")?);
        }
        let mut table = Self { name, columns, references, initial: Fingerprint::default() };
        for row in schema.fetch_all(AssertSqlSafe(table.select())).await? {
            table.initial.add(&table.values(&row.into())?);
        }
        Ok(table)
    }
}

/// All tables. A table comes after those that it references.
pub(super) async fn tables() -> Result<Vec<Table>, DbError> {
    const NAMES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('_sqlx_migrations', \
                         'sqlite_sequence') ORDER BY rowid";
    let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
    let mut schema = SqliteConnection::connect_with(&options).await?;
    migrations::migrator().run(&mut schema).await?;
    let mut left = Vec::new();
    for row in schema.fetch_all(NAMES).await? {
        left.push(Table::read(row.try_get("name")?, &mut schema).await?);
    }
    schema.close().await?;
    let mut sorted: Vec<Table> = Vec::new();
    while !left.is_empty() {
        let is_next = |table: &Table| {
            let waits = |name: &String| *name != table.name && left.iter().any(|other| other.name == *name);
            !table.references.iter().any(waits)
        };
        let next = left.iter().position(is_next);
        let next = next.ok_or_else(|| sqlx::Error::Configuration("tables reference each other".into()))?;
        sorted.push(left.remove(next));
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the text of the migrations, so that a table that the catalogue does not list shows.
    #[tokio::test]
    async fn every_table_of_the_migrations_is_copied_after_those_it_references() {
        let migrator = migrations::migrator();
        let created = migrator.iter().flat_map(|migration| migration.sql.as_str().split("CREATE TABLE ").skip(1));
        let created: BTreeSet<String> = created.map(|text| text.split([' ', '(']).next().unwrap().to_owned()).collect();
        let sorted = tables().await.unwrap();
        assert_eq!(sorted.iter().map(|table| table.name.clone()).collect::<BTreeSet<_>>(), created);
        for (at, table) in sorted.iter().enumerate() {
            let earlier: BTreeSet<String> = sorted[..at].iter().map(|table| table.name.clone()).collect();
            assert!(table.references.is_subset(&earlier), "{} comes too early", table.name);
            assert!(!table.columns.is_empty(), "{} has no columns", table.name);
        }
        let initial: Vec<&str> =
            sorted.iter().filter(|table| table.initial.rows > 0).map(|table| &*table.name).collect();
        assert_eq!(initial, ["revision", "schema_compatibility"]);
    }
}
