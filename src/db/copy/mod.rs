//! Copies a database into another one, of either kind, while nothing can write to the source.
//!
//! Each table is copied in one transaction, so a copy that was killed has whole tables only. The next run keeps those whose
//! content is that of the source, and copies the first one that differs and all after it.

mod error;
mod fingerprint;
mod location;
mod source;
mod tables;
mod target;

pub use error::CopyError;
pub use fingerprint::Fingerprint;

use location::Location;
use source::Source;
use tables::Table;
use target::Target;

use super::error::DbError;
use super::handle::{Db, Tx};
use super::migrations;
use super::row::Row;
use super::statement::Sql;
use crate::values;

/// What a copy is doing. Every row is counted twice: it is copied and checked.
#[derive(Clone, Copy, Debug)]
pub struct CopyStep<'a> {
    /// The name of the table, or `database`.
    pub table: &'a str,
    /// `claimed`, `copying`, `copied` or `checked`.
    pub stage: &'static str,
    pub done: u64,
    pub total: u64,
}

/// A table with the same content in both databases.
#[derive(Clone, Debug)]
pub struct CopiedTable {
    pub table: String,
    pub content: Fingerprint,
}

/// A copy, before or after its rows are copied.
#[derive(Debug)]
pub struct Copy {
    tables: Vec<Table>,
    source: Source,
    from: Location,
    to: Location,
    target: Option<Target>,
}

/// Counts the rows and says so.
struct Steps<'a> {
    report: &'a (dyn Fn(CopyStep<'_>) + Sync),
    done: u64,
    total: u64,
}

impl Steps<'_> {
    fn report(&mut self, table: &str, stage: &'static str, rows: u64) {
        self.done += rows;
        (self.report)(CopyStep { table, stage, done: self.done, total: self.total });
    }
}

impl Copy {
    /// Locks the source and checks that both databases can be used. Changes nothing.
    pub async fn prepare(from: &str, to: &str) -> Result<Self, CopyError> {
        let (from, to) = (Location::parse(from)?, Location::parse(to)?);
        if from.name == to.name {
            return Err(CopyError::Same(from.name));
        }
        if !from.exists() {
            return Err(CopyError::database(&from.name)(DbError::DatabaseNotFound));
        }
        let tables = tables::tables().await?;
        let db = from.connect_alone().await?;
        let from_schema = db.schema_version().await.map_err(CopyError::database(&from.name))?;
        if from_schema == 0 {
            return Err(CopyError::NoSchema(from.name));
        }
        if let Some(origin) = db.unfinished_copy_of().await? {
            return Err(CopyError::database(&from.name)(DbError::UnfinishedCopy { origin }));
        }
        let to_schema = check_target(&to).await?;
        let own = migrations::LATEST;
        if from_schema != own || to_schema.is_some_and(|schema| schema != own) {
            let to_schema = to_schema.unwrap_or(own);
            return Err(CopyError::Schemas { from: from.name, from_schema, to: to.name, to_schema, own });
        }
        let source = Source::lock(db, &from, &tables).await?;
        Ok(Self { tables, source, from, to, target: None })
    }

    /// The source without user and password.
    pub fn from(&self) -> &str {
        &self.from.name
    }

    /// The target without user and password.
    pub fn to(&self) -> &str {
        &self.to.name
    }

    /// Reads a table of the source.
    pub async fn for_each_row(
        &mut self,
        table: &str,
        mut act: impl FnMut(&Row) -> Result<(), DbError>,
    ) -> Result<(), CopyError> {
        let found = self.tables.iter().find(|found| found.name == table);
        let found = found.ok_or_else(|| DbError::from(sqlx::Error::TypeNotFound { type_name: table.to_owned() }))?;
        let each = async |rows: Vec<Row>| rows.iter().try_for_each(&mut act).map_err(|error| found.failed(error));
        self.source.for_each_chunk(found, each).await
    }

    /// Copies what the target lacks, and compares every table. `run` is a name that no other run has.
    pub async fn run(
        &mut self,
        run: String,
        report: &(dyn Fn(CopyStep<'_>) + Sync),
    ) -> Result<Vec<CopiedTable>, CopyError> {
        self.to.create()?;
        let db = self.to.connect().await.map_err(CopyError::database(&self.to.name))?;
        if db.schema_version().await? == 0 {
            self.to.migrate().await.map_err(CopyError::database(&self.to.name))?;
        }
        let target = Target::claim(db, &self.to, &self.tables, &self.from.name, run).await?;
        let mut steps = Steps { report, done: 0, total: 0 };
        for table in &self.tables {
            steps.total += 2 * self.source.count(table).await?;
        }
        steps.report("database", "claimed", 0);
        let mut copied = Vec::new();
        if target.is_resumed {
            copied = self.find_equal(&target, &mut steps).await?;
        }
        let left = &self.tables[copied.len()..];
        target.clear(left).await?;
        let mut contents = Vec::new();
        for table in left {
            contents.push(copy_table(&mut self.source, &target, table, &mut steps).await?);
            steps.report(&table.name, "copied", 0);
        }
        target.analyze().await?;
        for (table, expected) in left.iter().zip(contents) {
            let mut tx = target.begin().await?;
            let found = table.fingerprint(&mut tx).await?;
            if found != expected {
                return Err(CopyError::Differs { table: table.name.clone(), expected, found });
            }
            steps.report(&table.name, "checked", found.rows);
            copied.push(CopiedTable { table: table.name.clone(), content: found });
        }
        steps.report("database", "checked", 0);
        self.target = Some(target);
        Ok(copied)
    }

    /// The leading tables that an earlier run has copied. What follows is missing, or the source has changed since.
    async fn find_equal(&mut self, target: &Target, steps: &mut Steps<'_>) -> Result<Vec<CopiedTable>, CopyError> {
        let mut equal = Vec::new();
        let mut tx = target.begin().await?;
        for table in &self.tables {
            let found = table.fingerprint(&mut tx).await?;
            if self.source.count(table).await? != found.rows || self.source.fingerprint(table).await? != found {
                break;
            }
            steps.report(&table.name, "checked", 2 * found.rows);
            equal.push(CopiedTable { table: table.name.clone(), content: found });
        }
        Ok(equal)
    }

    /// Whether [`Copy::run`] continued an earlier run.
    pub fn is_resumed(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.is_resumed)
    }

    /// A transaction that ends the copy, once all tables are equal: it makes the target a database like any other. Commit it.
    pub async fn finish(&mut self) -> Result<Tx, CopyError> {
        self.source.require_locked().await?;
        let target = self.target.as_ref().ok_or_else(|| DbError::from(sqlx::Error::RowNotFound))?;
        target.finish().await
    }

    /// Unlocks the source.
    pub async fn close(self) {
        if let Some(target) = self.target {
            target.db.close().await;
        }
        self.source.close().await;
    }
}

/// The schema of a database that may receive a copy. `None`: it has none yet.
async fn check_target(to: &Location) -> Result<Option<i64>, CopyError> {
    if !to.exists() {
        return Ok(None);
    }
    let db = to.connect_alone().await?;
    let schema = db.schema_version().await.map_err(CopyError::database(&to.name))?;
    if schema > 0 {
        db.close().await;
        return Ok(Some(schema));
    }
    let foreign = match db {
        Db::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'sqlite_sequence' LIMIT 1",
        Db::Postgres(_) => "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema() LIMIT 1",
    };
    let foreign = db.one(Sql::new_unchecked(foreign), values![]).await?;
    db.close().await;
    match foreign {
        Some(row) => Err(CopyError::NotEmpty { database: to.name.clone(), table: row.text("name")? }),
        None => Ok(None),
    }
}

/// Copies a table in one transaction.
async fn copy_table(
    source: &mut Source,
    target: &Target,
    table: &Table,
    steps: &mut Steps<'_>,
) -> Result<Fingerprint, CopyError> {
    let failed = |error: DbError| table.failed(error);
    let mut content = Fingerprint::default();
    let mut tx = target.begin().await?;
    let insert = table.insert();
    let write = async |rows: Vec<Row>| {
        let rows = rows.iter().map(|row| table.values(row)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        rows.iter().for_each(|row| content.add(row));
        let count = rows.len() as u64;
        if let Some(insert) = target.db.bulk_insert_by_text(&insert, rows).map_err(failed)? {
            tx.run_bulk_insert(insert).await.map_err(failed)?;
        }
        steps.report(&table.name, "copying", count);
        Ok(())
    };
    source.for_each_chunk(table, write).await?;
    tx.commit().await.map_err(failed)?;
    Ok(content)
}
