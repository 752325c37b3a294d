//! The task queue: one sealed row for each task.

use std::time::Duration;

use super::QueuedTask;
use crate::audit::{ActorContext, AuditEvent};
use crate::db::{Db, DbError, Sql, Tx, Value};
use crate::queue::{Lease, Queue, Statements};
use crate::{sql, values};
use signpost_core::{Clock, KeyRing, Purpose, Random, Timestamp, ids};

/// A killed worker's task becomes due again after this time.
pub(super) const LEASE_TIME: Duration = Duration::from_secs(40);

const STATEMENTS: Statements = Statements {
    has_due: sql!("SELECT 1 FROM queued_task WHERE due_at <= $1 AND lease_until < $1 LIMIT 1"),
    claim: sql!(
        "UPDATE queued_task SET fencing_token = $1, lease_until = $2, attempts = attempts + 1 \
         WHERE lease_until < $3 AND id IN (SELECT id FROM queued_task \
         WHERE due_at <= $3 AND lease_until < $3 ORDER BY due_at, id LIMIT 1) \
         RETURNING id, sealed, attempts, created_at"
    ),
};
const INSERT_TASK: Sql = sql!(
    "INSERT INTO queued_task (id, sealed, attempts, due_at, fencing_token, lease_until, created_at) \
     VALUES ($1, $2, 0, $3, '', 0, $3)"
);
const RESCHEDULE_TASK: Sql = sql!(
    "UPDATE queued_task SET fencing_token = '', lease_until = 0, due_at = $3 WHERE id = $1 AND fencing_token = $2"
);
const DELETE_TASK: Sql = sql!("DELETE FROM queued_task WHERE id = $1 AND fencing_token = $2");
const ALL_TASKS: Sql = sql!("SELECT id, sealed, attempts, created_at FROM queued_task ORDER BY id");
const REMOVE_TASK: Sql = sql!("DELETE FROM queued_task WHERE id = $1");
const BACKLOG: Sql = sql!(
    "SELECT count(*) AS total, count(CASE WHEN attempts > 0 THEN 1 END) AS attempted, min(created_at) AS oldest \
     FROM queued_task"
);

/// A task that waits, for exports and erasures.
#[derive(Clone, Debug)]
pub struct WaitingTask {
    pub id: String,
    pub kind: &'static str,
    pub attempts: i64,
    pub created_at: Timestamp,
}

/// The tasks that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskBacklog {
    pub pending: i64,
    /// Those that were attempted before.
    pub failing: i64,
    pub oldest: Option<Timestamp>,
}

/// A claimed task.
pub(super) struct LeasedTask {
    pub id: String,
    /// Attempts so far, including this one.
    pub attempts: i64,
    pub created_at: Timestamp,
    /// `None` if it was sealed under a key that was removed.
    pub task: Option<QueuedTask>,
    lease: Lease,
}

#[derive(Clone, Debug)]
pub(super) struct TaskQueue {
    pub db: Db,
    pub random: Random,
    keys: KeyRing,
    queue: Queue,
}

impl TaskQueue {
    pub(super) fn new(db: Db, keys: KeyRing, clock: Clock, random: Random) -> Self {
        let queue = Queue::new(db.clone(), (clock, random.clone()), LEASE_TIME, STATEMENTS);
        Self { db, random, keys, queue }
    }

    /// Adds one row, whatever the task is.
    pub(super) async fn enqueue(&self, task: &QueuedTask, now: Timestamp) -> Result<(), DbError> {
        self.db.run(INSERT_TASK, self.row(task, now)).await.map(drop)
    }

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

    /// Claims the task that has been due longest.
    pub(super) async fn claim(&self) -> Result<Option<LeasedTask>, DbError> {
        let Some((lease, rows)) = self.queue.claim().await? else { return Ok(None) };
        let Some(row) = rows.first() else { return Ok(None) };
        let id = row.text("id")?;
        let task = self.keys.open(Purpose::Storage, &id, &row.text("sealed")?).ok();
        Ok(Some(LeasedTask { id, attempts: row.int("attempts")?, created_at: row.time("created_at")?, task, lease }))
    }

    /// Deletes a finished task and adds the tasks that follow from it, in one transaction.
    pub(super) async fn complete(
        &self,
        leased: &LeasedTask,
        next: &[QueuedTask],
        now: Timestamp,
    ) -> Result<(), DbError> {
        let mut tx = self.db.begin().await?;
        if tx.run(DELETE_TASK, values![&leased.id, leased.lease.fencing_token()]).await? == 0 {
            return Ok(());
        }
        for task in next {
            tx.run(INSERT_TASK, self.row(task, now)).await?;
        }
        tx.commit().await
    }

    /// Makes a failed task due again at `due`.
    pub(super) async fn reschedule(&self, leased: &LeasedTask, due: Timestamp) -> Result<(), DbError> {
        self.db.run(RESCHEDULE_TASK, values![&leased.id, leased.lease.fencing_token(), due]).await.map(drop)
    }

    pub(super) async fn backlog(&self) -> Result<TaskBacklog, DbError> {
        let Some(row) = self.db.one(BACKLOG, values![]).await? else { return Ok(TaskBacklog::default()) };
        Ok(TaskBacklog { pending: row.int("total")?, failing: row.int("attempted")?, oldest: row.opt_time("oldest")? })
    }

    /// The tasks that concern a user or one of these names. The queue is short: done tasks are deleted.
    pub(super) async fn concerning(
        &self,
        is_concerned: impl Fn(&QueuedTask) -> bool,
    ) -> Result<Vec<WaitingTask>, DbError> {
        let mut found = Vec::new();
        for row in self.db.all(ALL_TASKS, values![]).await? {
            let id = row.text("id")?;
            let Ok(task) = self.keys.open::<QueuedTask>(Purpose::Storage, &id, &row.text("sealed")?) else { continue };
            if is_concerned(&task) {
                let (attempts, created_at) = (row.int("attempts")?, row.time("created_at")?);
                found.push(WaitingTask { id, kind: task.kind(), attempts, created_at });
            }
        }
        Ok(found)
    }

    fn row(&self, task: &QueuedTask, now: Timestamp) -> Vec<Value> {
        let id = ids::uuid_v7(now, &self.random);
        let sealed = self.keys.seal(Purpose::Storage, &id, task);
        values![id, sealed, now]
    }
}

/// Deletes a task, whether or not a worker has claimed it: the worker then completes nothing.
pub(super) async fn remove(tx: &mut Tx, id: &str) -> Result<(), DbError> {
    tx.run(REMOVE_TASK, values![id]).await.map(drop)
}
