//! The queue in the database: one row an errand, sealed, there until its work is done.
//!
//! Taking a row is a compare-and-set on its number of tries, which is the taker's fence as well: whoever slept through the
//! lease changes nothing any more. A kill between the work and the removal of its row does the work once more, no worse.

use std::time::Duration;

use super::Errand;
use crate::db::{Db, DbError, Tx};
use crate::kernel::{KeyRing, Purpose, Random, Timestamp, ids};
use crate::values;

/// A row that was taken up comes back after so long, if nobody has finished or moved it.
pub const LEASE: Duration = Duration::from_secs(40);

const ADD: &str = "INSERT INTO errand (id, sealed, tries, due_at, created_at) VALUES ($1, $2, 0, $3, $3)";
const DUE: &str = "SELECT id, sealed, tries, created_at FROM errand WHERE due_at <= $1 ORDER BY due_at, id LIMIT 1";
const TAKE: &str = "UPDATE errand SET tries = tries + 1, due_at = $3 WHERE id = $1 AND tries = $2";
const PUT_OFF: &str = "UPDATE errand SET due_at = $3 WHERE id = $1 AND tries = $2";
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
