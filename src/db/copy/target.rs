//! The database that receives the copy.
//!
//! From the first to the last row it has a table `unfinished_copy`, which says where the rows come from and which run writes
//! them. No other command opens such a database: a gateway that served customers from a part of the copy would accept single-use
//! tokens again that the other part marks as consumed.

use super::error::CopyError;
use super::location::Location;
use super::tables::Table;
use crate::db::handle::{Db, Tx};
use crate::db::statement::Sql;
use crate::values;

const CREATE: Sql =
    Sql::new_unchecked("CREATE TABLE IF NOT EXISTS unfinished_copy (origin TEXT NOT NULL, run TEXT NOT NULL)");
const ORIGIN: Sql = Sql::new_unchecked("SELECT origin FROM unfinished_copy");
const START: Sql = Sql::new_unchecked("INSERT INTO unfinished_copy (origin, run) VALUES ($1, $2)");
const TAKE_OVER: Sql = Sql::new_unchecked("UPDATE unfinished_copy SET run = $1");
const STILL_OURS: Sql = Sql::new_unchecked("UPDATE unfinished_copy SET run = run WHERE run = $1");
const FINISH: Sql = Sql::new_unchecked("DROP TABLE unfinished_copy");

#[derive(Debug)]
pub(super) struct Target {
    pub db: Db,
    name: String,
    /// The fencing token of this run.
    run: String,
    /// Whether an earlier run has copied a part.
    pub is_resumed: bool,
}

impl Target {
    /// Marks the database as an unfinished copy of `origin`. It must be empty, or be one already.
    pub(super) async fn claim(
        db: Db,
        location: &Location,
        tables: &[Table],
        origin: &str,
        run: String,
    ) -> Result<Self, CopyError> {
        let name = location.name.clone();
        let failed = CopyError::database(&location.name);
        let mut tx = db.begin().await.map_err(&failed)?;
        tx.run(CREATE, values![]).await.map_err(&failed)?;
        let found = tx.one(ORIGIN, values![]).await?.map(|row| row.text("origin")).transpose()?;
        let is_resumed = found.is_some();
        match found {
            Some(found) if found != origin => {
                return Err(CopyError::OtherOrigin { database: name, origin: found, from: origin.to_owned() });
            }
            Some(_) => drop(tx.run(TAKE_OVER, values![&run]).await?),
            None => {
                require_empty(&mut tx, &name, tables).await?;
                tx.run(START, values![origin, &run]).await?;
            }
        }
        tx.commit().await.map_err(&failed)?;
        db.set_bulk_mode(true).await.map_err(&failed)?;
        Ok(Self { db, name, run, is_resumed })
    }

    /// Begins a transaction that fails unless this run is the one that copies.
    pub(super) async fn begin(&self) -> Result<Tx, CopyError> {
        let failed = CopyError::database(&self.name);
        let mut tx = self.db.begin().await.map_err(&failed)?;
        match tx.run(STILL_OURS, values![&self.run]).await {
            Ok(1) => Ok(tx),
            Ok(_) => Err(CopyError::Superseded(self.name.clone())),
            // The other run has finished.
            Err(_) if self.db.unfinished_copy_of().await.is_ok_and(|origin| origin.is_none()) => {
                Err(CopyError::Superseded(self.name.clone()))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Deletes the rows of tables, those first that reference others.
    pub(super) async fn clear(&self, tables: &[Table]) -> Result<(), CopyError> {
        let mut tx = self.begin().await?;
        for table in tables.iter().rev() {
            tx.run_by_text(table.delete()).await.map_err(|error| table.failed(error))?;
        }
        Ok(tx.commit().await?)
    }

    /// Lets the planner know the tables, as it would after a while by itself.
    pub(super) async fn analyze(&self) -> Result<(), CopyError> {
        let Db::Postgres(_) = self.db else { return Ok(()) };
        self.db.run(Sql::new_unchecked("ANALYZE"), values![]).await?;
        Ok(())
    }

    /// A transaction that makes the copy a database like any other.
    pub(super) async fn finish(&self) -> Result<Tx, CopyError> {
        self.db.set_bulk_mode(false).await?;
        let mut tx = self.begin().await?;
        tx.run(FINISH, values![]).await?;
        Ok(tx)
    }
}

async fn require_empty(tx: &mut Tx, database: &str, tables: &[Table]) -> Result<(), CopyError> {
    for table in tables {
        let rows = tx.all_by_text(table.count()).await?;
        let rows = rows.first().map(|row| row.int("count")).transpose()?.unwrap_or_default().unsigned_abs();
        if rows != table.initial.rows || (rows > 0 && table.fingerprint(tx).await? != table.initial) {
            return Err(CopyError::NotEmpty { database: database.to_owned(), table: table.name.clone() });
        }
    }
    Ok(())
}
