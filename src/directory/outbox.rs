//! The outbox: changes of users that wait to reach SecureAuth. The transaction that changes a user also marks the user here,
//! once for each biller that is not legacy. A user has one row for each biller, so that changes arrive in order.

use std::time::Duration;

use super::{Directory, DirectoryError};
use crate::db::{Db, DbError, ROWS_PER_STATEMENT, Row, Sql, Tx, Value};
use crate::queue::{Lease, Queue, Statements};
use crate::{sql, values};
use signpost_core::{BillerId, Clock, Random, Timestamp, UserId, ids};

macro_rules! insert_change {
    () => {
        "INSERT INTO user_change \
         (biller_id, user_id, version, queued_at, due_at, attempts, fencing_token, lease_until, problem) "
    };
}
macro_rules! on_conflict {
    () => {
        " ON CONFLICT (biller_id, user_id) DO UPDATE SET version = excluded.version, due_at = excluded.due_at, attempts = 0"
    };
}
const ENQUEUE_USER: Sql = sql!(concat!(
    insert_change!(),
    "SELECT b.id, m.user_id, $2, $3, $3, 0, '', 0, '' FROM biller b \
     CROSS JOIN membership m WHERE m.biller_id = b.id AND m.user_id = $1 AND b.state <> 'legacy'",
    on_conflict!()
));
const ENQUEUE_MEMBER: Sql = sql!(concat!(
    insert_change!(),
    "SELECT b.id, $2, $3, $4, $4, 0, '', 0, '' FROM biller b WHERE b.id = $1 AND b.state <> 'legacy'",
    on_conflict!()
));
const ENQUEUE_WRITTEN: Sql = sql!(concat!(insert_change!(), "VALUES {rows}", on_conflict!()));
const ANY_MIGRATED: Sql = sql!("SELECT 1 FROM biller WHERE state <> 'legacy' LIMIT 1");
const IS_MIGRATED: Sql = sql!("SELECT 1 FROM biller WHERE id = $1 AND state <> 'legacy'");
const WRITTEN_USERS: Sql = sql!(
    "SELECT m.biller_id, m.user_id FROM membership m JOIN users u ON u.id = m.user_id \
     JOIN biller b ON b.id = m.biller_id WHERE b.state <> 'legacy' AND (u.updated_at = $1 OR m.created_at = $1) \
     AND m.username_key IN {keys}"
);
/// Changes of a biller that is being enabled wait until its job has ended.
const STATEMENTS: Statements = Statements {
    has_due: sql!(
        "SELECT 1 FROM user_change c JOIN biller b ON b.id = c.biller_id \
         WHERE c.due_at <= $1 AND c.lease_until < $1 AND b.state <> 'enabling' LIMIT 1"
    ),
    claim: sql!(
        "UPDATE user_change SET fencing_token = $1, lease_until = $2, attempts = attempts + 1 WHERE lease_until < $3 \
         AND (biller_id, user_id) IN (SELECT c.biller_id, c.user_id FROM user_change c JOIN biller b ON b.id = c.biller_id \
         WHERE c.due_at <= $3 AND c.lease_until < $3 AND b.state <> 'enabling' ORDER BY c.due_at LIMIT 8) \
         RETURNING biller_id, user_id, version, queued_at, attempts"
    ),
};
const COMPLETE: Sql =
    sql!("DELETE FROM user_change WHERE biller_id = $1 AND user_id = $2 AND fencing_token = $3 AND version = $4");
const RELEASE: Sql = sql!(
    "UPDATE user_change SET fencing_token = '', lease_until = 0 \
     WHERE biller_id = $1 AND user_id = $2 AND fencing_token = $3"
);
const RESCHEDULE: Sql = sql!(
    "UPDATE user_change SET fencing_token = '', lease_until = 0, due_at = $5, problem = $6 \
     WHERE biller_id = $1 AND user_id = $2 AND fencing_token = $3 AND version = $4"
);
/// An enablement job reads the changes of its biller: they stay.
const DISCARD: Sql = sql!(
    "DELETE FROM user_change WHERE biller_id = $1 \
     AND NOT EXISTS (SELECT 1 FROM biller WHERE id = $1 AND state = 'enabling')"
);
const BACKLOG: Sql = sql!(
    "SELECT biller_id, count(*) AS total, sum(CASE WHEN problem <> '' THEN 1 ELSE 0 END) AS failing, \
     min(queued_at) AS oldest, max(problem) AS problem FROM user_change GROUP BY biller_id"
);
const BACKLOG_OF: Sql = sql!("SELECT count(*) AS total FROM user_change WHERE biller_id = $1");

/// Changes of a biller's users that have not reached SecureAuth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    pub count: i64,
    /// Changes whose last attempt failed.
    pub failing: i64,
    pub oldest: Timestamp,
    /// The error of one of the failing changes.
    pub problem: String,
}

/// Marks a user for every biller of the user. The change itself is in the same transaction, before or after.
pub(super) async fn enqueue_user(tx: &mut Tx, user: &UserId, now: Timestamp, random: &Random) -> Result<(), DbError> {
    tx.run(ENQUEUE_USER, values![user.as_str(), ids::uuid_v7(now, random), now]).await.map(drop)
}

/// Marks a user for one biller, whether or not the user is still a member.
pub(super) async fn enqueue_member(
    tx: &mut Tx,
    (biller, user): (&str, &str),
    now: Timestamp,
    random: &Random,
) -> Result<(), DbError> {
    tx.run(ENQUEUE_MEMBER, values![biller, user, ids::uuid_v7(now, random), now]).await.map(drop)
}

/// Whether changes of a biller's users are marked.
pub(super) async fn is_migrated(tx: &mut Tx, biller: &str) -> Result<bool, DbError> {
    Ok(tx.one(IS_MIGRATED, values![biller]).await?.is_some())
}

/// Marks the users with these usernames that were written at exactly `now`.
pub(super) async fn enqueue_written(
    db: &Db,
    tx: &mut Tx,
    names: &[String],
    (now, random): (Timestamp, &Random),
) -> Result<(), DbError> {
    if names.is_empty() || tx.one(ANY_MIGRATED, values![]).await?.is_none() {
        return Ok(());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let version = ids::uuid_v7(now, random);
    let written = tx.all_in(WRITTEN_USERS, now.into(), &names).await?;
    for part in written.chunks(ROWS_PER_STATEMENT) {
        let row = |row: &Row| {
            Ok(values![row.text("biller_id")?, row.text("user_id")?, &version, now, now, 0_i64, "", 0_i64, ""])
        };
        let rows = part.iter().map(row).collect::<Result<Vec<_>, DbError>>()?;
        if let Some(rows) = db.bulk_insert(ENQUEUE_WRITTEN, rows)? {
            tx.run_bulk_insert(rows).await?;
        }
    }
    Ok(())
}

impl Directory {
    /// Deletes all changes of a biller whose pool Signpost does not manage.
    pub async fn discard_user_changes(&self, biller: &BillerId) -> Result<(), DirectoryError> {
        Ok(self.db.run(DISCARD, values![biller.as_str()]).await.map(drop)?)
    }

    /// The backlog of every biller that has one.
    pub async fn backlog(&self) -> Result<Vec<(BillerId, Backlog)>, DirectoryError> {
        let rows = self.db.all(BACKLOG, values![]).await?;
        let read = |row: &Row| {
            let backlog = Backlog {
                count: row.int("total")?,
                failing: row.int("failing")?,
                oldest: row.time("oldest")?,
                problem: row.text("problem")?,
            };
            Ok((BillerId::from_stored(row.text("biller_id")?), backlog))
        };
        rows.iter().map(read).collect()
    }

    /// The number of a biller's users with pending changes.
    pub async fn backlog_of(&self, biller: &BillerId) -> Result<i64, DirectoryError> {
        let row = self.db.one(BACKLOG_OF, values![biller.as_str()]).await?;
        Ok(row.map_or(Ok(0), |row| row.int("total"))?)
    }
}

/// The worker's side of the outbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UserChangeQueue {
    db: Db,
    queue: Queue,
}

/// A claimed change.
#[derive(Clone, Debug)]
pub struct LeasedUserChange {
    pub biller: BillerId,
    pub user: UserId,
    pub queued_at: Timestamp,
    /// Attempts since the last change, including this one.
    pub attempts: i64,
    version: String,
    lease: Lease,
}

impl UserChangeQueue {
    pub fn new(db: Db, clocks: (Clock, Random), lease_time: Duration) -> Self {
        Self { queue: Queue::new(db.clone(), clocks, lease_time, STATEMENTS), db }
    }

    /// Claims a few changes that are due.
    pub async fn claim(&self) -> Result<Vec<LeasedUserChange>, DbError> {
        let Some((lease, rows)) = self.queue.claim().await? else { return Ok(Vec::new()) };
        let read = |row: &Row| {
            Ok(LeasedUserChange {
                biller: BillerId::from_stored(row.text("biller_id")?),
                user: UserId::from_stored(row.text("user_id")?),
                queued_at: row.time("queued_at")?,
                attempts: row.int("attempts")?,
                version: row.text("version")?,
                lease: lease.clone(),
            })
        };
        rows.iter().map(read).collect()
    }

    /// Deletes a change that was pushed. If the user changed again meanwhile, the row stays and becomes due again.
    pub async fn complete(&self, change: &LeasedUserChange) -> Result<(), DbError> {
        self.run_or_release(COMPLETE, change, values![]).await
    }

    /// Makes a failed change due again at `due`; at once if the user changed again meanwhile.
    pub async fn reschedule(&self, change: &LeasedUserChange, due: Timestamp, problem: &str) -> Result<(), DbError> {
        self.run_or_release(RESCHEDULE, change, values![due, problem]).await
    }

    async fn run_or_release(&self, sql: Sql, change: &LeasedUserChange, more: Vec<Value>) -> Result<(), DbError> {
        let key = || values![change.biller.as_str(), change.user.as_str(), change.lease.fencing_token()];
        let mut values = key();
        values.push(change.version.as_str().into());
        values.extend(more);
        if self.db.run(sql, values).await? == 0 {
            self.db.run(RELEASE, key()).await?;
        }
        Ok(())
    }
}
