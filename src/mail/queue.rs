//! The queue in the database: one row an errand, sealed, there until its work is done.
//!
//! Taking a row is a compare-and-set on its number of tries, which is the taker's fence as well: whoever slept through the
//! lease changes nothing any more. A kill between the work and the removal of its row does the work once more, no worse.

use std::time::Duration;

use super::Errand;
use crate::audit::{Act, By};
use crate::db::{Db, DbError, Tx};
use crate::values;
use signpost_core::{KeyRing, Purpose, Random, Timestamp, ids};

/// A row that was taken up comes back after so long, if nobody has finished or moved it.
pub const LEASE: Duration = Duration::from_secs(40);

const ADD: &str = "INSERT INTO errand (id, sealed, tries, due_at, created_at) VALUES ($1, $2, 0, $3, $3)";
const DUE: &str = "SELECT id, sealed, tries, created_at FROM errand WHERE due_at <= $1 ORDER BY due_at, id LIMIT 1";
const TAKE: &str = "UPDATE errand SET tries = tries + 1, due_at = $3 WHERE id = $1 AND tries = $2";
const PUT_OFF: &str = "UPDATE errand SET due_at = $3 WHERE id = $1 AND tries = $2";
const WAITING: &str = "SELECT count(*), count(CASE WHEN tries > 0 THEN 1 END) FROM errand";
const REMOVE: &str = "DELETE FROM errand WHERE id = $1 AND tries = $2";

/// A row that this process has taken up.
pub(super) struct Taken {
    pub id: String,
    /// How often it was taken up, this time included.
    pub tries: i64,
    pub created_at: Timestamp,
    /// None when it was sealed under a key that is gone.
    pub errand: Option<Errand>,
}

/// The queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub db: Db,
    pub keys: KeyRing,
    pub random: Random,
}

impl Queue {
    /// One row, whatever the errand is about.
    pub async fn add(&self, errand: &Errand, now: Timestamp) -> Result<(), DbError> {
        self.db.run(ADD, self.row(errand, now)).await.map(drop)
    }

    /// The same by somebody's order.
    pub async fn add_noted(&self, errand: &Errand, by: &By, act: Act) -> Result<(), DbError> {
        let mut tx = self.db.begin().await?;
        tx.run(ADD, self.row(errand, by.now())).await?;
        by.note(&mut tx, act).await?;
        tx.commit().await
    }

    /// Takes up the row that has waited longest; none is due, or another process was quicker.
    pub async fn take(&self, now: Timestamp) -> Result<Option<Taken>, DbError> {
        let Some(row) = self.db.one(DUE, values![now]).await? else { return Ok(None) };
        let (id, tries) = (row.text(0)?, row.int(2)?);
        if self.db.run(TAKE, values![&id, tries, now.plus(LEASE)]).await? == 0 {
            return Ok(None);
        }
        let errand = self.keys.open(Purpose::Storage, &id, &row.text(1)?).ok();
        Ok(Some(Taken { id, tries: tries + 1, created_at: row.time(3)?, errand }))
    }

    /// Removes a row whose work is done, and adds what follows from it, all or nothing.
    pub async fn finish(&self, taken: &Taken, next: &[Errand], now: Timestamp) -> Result<(), DbError> {
        let mut tx: Tx = self.db.begin().await?;
        if tx.run(REMOVE, values![&taken.id, taken.tries]).await? == 0 {
            return Ok(());
        }
        for errand in next {
            tx.run(ADD, self.row(errand, now)).await?;
        }
        tx.commit().await
    }

    /// How many rows there are, and how many of them were taken up before.
    pub async fn waiting(&self) -> Result<(i64, i64), DbError> {
        let row = self.db.one(WAITING, values![]).await?;
        row.map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
    }

    /// Leaves a row for later.
    pub async fn put_off(&self, taken: &Taken, until: Timestamp) -> Result<(), DbError> {
        self.db.run(PUT_OFF, values![&taken.id, taken.tries, until]).await.map(drop)
    }

    fn row(&self, errand: &Errand, now: Timestamp) -> Vec<crate::db::Value> {
        let id = ids::uuid_v7(now, &self.random);
        let sealed = self.keys.seal(Purpose::Storage, &id, errand);
        values![id, sealed, now]
    }
}
