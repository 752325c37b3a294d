//! The queue in the database: one row a task, sealed, there until its work is done.
//!
//! Taking a row is a compare-and-set on its number of attempts, which is the taker's fence as well: whoever slept through the
//! lease changes nothing any more. A kill between the work and the removal of its row does the work once more, no worse.

use std::time::Duration;

use super::QueuedTask;
use crate::audit::{ActorContext, AuditEvent};
use crate::db::{Db, DbError, Tx};
use crate::values;
use signpost_core::{KeyRing, Purpose, Random, Timestamp, ids};

/// A row that was taken up comes back after so long, if nobody has finished or moved it.
pub(super) const LEASE: Duration = Duration::from_secs(40);

const INSERT_TASK: &str =
    "INSERT INTO queued_task (id, sealed, attempts, due_at, created_at) VALUES ($1, $2, 0, $3, $3)";
const DUE_TASK: &str =
    "SELECT id, sealed, attempts, created_at FROM queued_task WHERE due_at <= $1 ORDER BY due_at, id LIMIT 1";
const LEASE_TASK: &str = "UPDATE queued_task SET attempts = attempts + 1, due_at = $3 WHERE id = $1 AND attempts = $2";
const RESCHEDULE_TASK: &str = "UPDATE queued_task SET due_at = $3 WHERE id = $1 AND attempts = $2";
const PENDING_COUNTS: &str = "SELECT count(*), count(CASE WHEN attempts > 0 THEN 1 END) FROM queued_task";
const DELETE_TASK: &str = "DELETE FROM queued_task WHERE id = $1 AND attempts = $2";

/// A row that this process has taken up.
pub(super) struct LeasedTask {
    pub id: String,
    /// How often it was taken up, this time included.
    pub attempts: i64,
    pub created_at: Timestamp,
    /// None when it was sealed under a key that is gone.
    pub task: Option<QueuedTask>,
}

/// The queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub db: Db,
    pub keys: KeyRing,
    pub random: Random,
}

impl Queue {
    /// One row, whatever the task is about.
    pub(super) async fn enqueue(&self, task: &QueuedTask, now: Timestamp) -> Result<(), DbError> {
        self.db.run(INSERT_TASK, self.row(task, now)).await.map(drop)
    }

    /// The same by somebody's order.
    pub(super) async fn enqueue_audited(
        &self,
        task: &QueuedTask,
        actor: &ActorContext,
        event: AuditEvent,
    ) -> Result<(), DbError> {
        let mut tx = self.db.begin().await?;
        tx.run(INSERT_TASK, self.row(task, actor.now())).await?;
        actor.record(&mut tx, event).await?;
        tx.commit().await
    }

    /// Takes up the row that has waited longest; none is due, or another process was quicker.
    pub(super) async fn lease_next(&self, now: Timestamp) -> Result<Option<LeasedTask>, DbError> {
        let Some(row) = self.db.one(DUE_TASK, values![now]).await? else { return Ok(None) };
        let (id, attempts) = (row.text(0)?, row.int(2)?);
        if self.db.run(LEASE_TASK, values![&id, attempts, now.plus(LEASE)]).await? == 0 {
            return Ok(None);
        }
        let task = self.keys.open(Purpose::Storage, &id, &row.text(1)?).ok();
        Ok(Some(LeasedTask { id, attempts: attempts + 1, created_at: row.time(3)?, task }))
    }

    /// Removes a row whose work is done, and adds what follows from it, all or nothing.
    pub(super) async fn complete(
        &self,
        leased: &LeasedTask,
        next: &[QueuedTask],
        now: Timestamp,
    ) -> Result<(), DbError> {
        let mut tx: Tx = self.db.begin().await?;
        if tx.run(DELETE_TASK, values![&leased.id, leased.attempts]).await? == 0 {
            return Ok(());
        }
        for task in next {
            tx.run(INSERT_TASK, self.row(task, now)).await?;
        }
        tx.commit().await
    }

    /// How many rows there are, and how many of them were taken up before.
    pub(super) async fn pending_counts(&self) -> Result<(i64, i64), DbError> {
        let row = self.db.one(PENDING_COUNTS, values![]).await?;
        row.map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
    }

    /// Leaves a row for later.
    pub(super) async fn reschedule(&self, leased: &LeasedTask, until: Timestamp) -> Result<(), DbError> {
        self.db.run(RESCHEDULE_TASK, values![&leased.id, leased.attempts, until]).await.map(drop)
    }

    fn row(&self, task: &QueuedTask, now: Timestamp) -> Vec<crate::db::Value> {
        let id = ids::uuid_v7(now, &self.random);
        let sealed = self.keys.seal(Purpose::Storage, &id, task);
        values![id, sealed, now]
    }
}
