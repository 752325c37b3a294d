//! The database that is copied.

use super::error::CopyError;
use super::fingerprint::Fingerprint;
use super::location::Location;
use super::tables::Table;
use crate::db::error::{DbError, is_busy};
use crate::db::handle::{Db, Tx};
use crate::db::row::Row;

/// A database that no process can write to as long as this is held.
#[derive(Debug)]
pub(super) struct Source {
    db: Db,
    name: String,
    /// Reads, and holds the lock that keeps writers out: on SQLite the write lock, on PostgreSQL a lock on every table.
    tx: Tx,
}

impl Source {
    /// Locks a database that has been opened by [`Location::connect_alone`].
    pub(super) async fn lock(db: Db, location: &Location, tables: &[Table]) -> Result<Self, CopyError> {
        let in_use = |error: DbError| {
            let is_locked = is_busy(&error)
                || matches!(&error, DbError::Failed(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| code == "55P03"));
            if is_locked { CopyError::InUse(location.name.clone()) } else { CopyError::database(&location.name)(error) }
        };
        let mut tx = db.begin().await.map_err(in_use)?;
        if let Db::Postgres(_) = db {
            let names: Vec<String> = tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
            for statement in [
                "SET LOCAL lock_timeout = '2s'",
                "SET LOCAL statement_timeout = 0",
                "SET LOCAL idle_in_transaction_session_timeout = 0",
                // Others can read, and not copy at the same time.
                &format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", ")),
            ] {
                tx.run_by_text(statement.to_owned()).await.map_err(in_use)?;
            }
        }
        Ok(Self { db, name: location.name.clone(), tx })
    }

    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, CopyError> {
        let rows = self.tx.all_by_text(table.count()).await.map_err(CopyError::database(&self.name))?;
        let count = rows.first().map(|row| row.int("count")).transpose()?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    pub(super) async fn for_each_chunk(
        &mut self,
        table: &Table,
        act: impl AsyncFnMut(Vec<Row>) -> Result<(), CopyError>,
    ) -> Result<(), CopyError> {
        self.tx.for_each_chunk(table.select(), act).await
    }

    pub(super) async fn fingerprint(&mut self, table: &Table) -> Result<Fingerprint, CopyError> {
        table.fingerprint(&mut self.tx).await
    }

    /// Fails if the lock was lost, such as by a restart of the server: then others may have written.
    pub(super) async fn require_locked(&mut self) -> Result<(), CopyError> {
        let alive = self.tx.all_by_text("SELECT 1 AS one".to_owned()).await;
        alive.map(drop).map_err(CopyError::database(&self.name))
    }

    pub(super) async fn close(self) {
        drop(self.tx);
        self.db.close().await;
    }
}
