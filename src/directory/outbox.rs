//! Changes of users that are on their way to SecureAuth: marked in the transaction that makes the change, for every biller
//! that is not legacy. One at a time is worked on for a user, so that changes arrive in order.

use std::time::Duration;

use super::{Directory, DirectoryError};
use crate::db::{Db, DbError, ROWS_PER_STATEMENT, Row, Sql, Tx, Value};
use crate::{sql, values};
use signpost_core::{BillerId, Random, Timestamp, UserId, ids};

macro_rules! insert_change {
    () => {
        "INSERT INTO user_change (biller_id, user_id, version, queued_at, due_at, attempts, owner, lease_until, problem) "
    };
}
macro_rules! on_conflict {
    () => {
        " ON CONFLICT (biller_id, user_id) DO UPDATE SET version = excluded.version, due_at = excluded.due_at, attempts = 0"
    };
}
const ENQUEUE_USER: &str = concat!(
    insert_change!(),
    "SELECT b.id, m.user_id, $2, $3, $3, 0, '', 0, '' FROM biller b \
     JOIN membership m ON m.biller_id = b.id AND m.user_id = $1 WHERE b.state <> 'legacy'",
    on_conflict!()
);
const ENQUEUE_MEMBER: &str = concat!(
    insert_change!(),
    "SELECT b.id, $2, $3, $4, $4, 0, '', 0, '' FROM biller b WHERE b.id = $1 AND b.state <> 'legacy'",
    on_conflict!()
);
const ENQUEUE_WRITTEN: Sql = sql!(concat!(insert_change!(), "VALUES {rows}", on_conflict!()));
const ANY_MIGRATED: &str = "SELECT 1 FROM biller WHERE state <> 'legacy' LIMIT 1";
const IS_MIGRATED: &str = "SELECT 1 FROM biller WHERE id = $1 AND state <> 'legacy'";
const WRITTEN_USERS: &str = "SELECT m.biller_id, m.user_id FROM membership m JOIN users u ON u.id = m.user_id \
     JOIN biller b ON b.id = m.biller_id WHERE b.state <> 'legacy' AND (u.updated_at = $1 OR m.created_at = $1) \
     AND m.username_key IN";
/// Those of a biller that is being moved wait until it is.
const IS_DUE: &str = "SELECT 1 FROM user_change c JOIN biller b ON b.id = c.biller_id \
     WHERE c.due_at <= $1 AND c.lease_until < $1 AND b.state <> 'enabling' LIMIT 1";
/// Compare and set: of two that want a row, the second sees the first one's lease.
const LEASE: &str = "UPDATE user_change SET owner = $1, lease_until = $2 WHERE lease_until < $3 \
     AND (biller_id, user_id) IN (SELECT c.biller_id, c.user_id FROM user_change c JOIN biller b ON b.id = c.biller_id \
     WHERE c.due_at <= $3 AND c.lease_until < $3 AND b.state IN ('active', 'suspended') ORDER BY c.due_at LIMIT 8) \
     RETURNING biller_id, user_id, version, attempts";
const COMPLETE: &str = "DELETE FROM user_change WHERE biller_id = $1 AND user_id = $2 AND owner = $3 AND version = $4";
const RELEASE: &str = "UPDATE user_change SET owner = '', lease_until = 0 \
     WHERE biller_id = $1 AND user_id = $2 AND owner = $3";
const RESCHEDULE: &str = "UPDATE user_change SET owner = '', lease_until = 0, attempts = attempts + 1, due_at = $5, problem = $6 \
     WHERE biller_id = $1 AND user_id = $2 AND owner = $3 AND version = $4";
const DISCARD: &str = "DELETE FROM user_change WHERE biller_id = $1";
const DISCARD_LEGACY: &str =
    "DELETE FROM user_change WHERE biller_id IN (SELECT id FROM biller WHERE state = 'legacy')";
const BACKLOG: &str = "SELECT c.biller_id, count(*), sum(CASE WHEN c.problem <> '' THEN 1 ELSE 0 END), min(c.queued_at), \
     max(c.problem) FROM user_change c GROUP BY c.biller_id";

/// A change that was taken up.
#[derive(Clone, Debug)]
pub struct LeasedUserChange {
    /// The biller whose pool is to have it.
    pub biller: BillerId,
    /// Whose it is.
    pub user: UserId,
    /// How often it was tried in vain.
    pub attempts: i64,
    version: String,
    owner: String,
}

/// Changes of a biller's users that have not arrived yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Users.
    pub count: i64,
    /// Users for whom it was tried in vain.
    pub failing: i64,
    /// Since when the oldest waits.
    pub oldest: Timestamp,
    /// What one of those met with.
    pub problem: String,
}

/// Marks a user for every biller he or she belongs to, before or after the change in the same transaction.
pub(super) async fn enqueue_user(tx: &mut Tx, user: &UserId, now: Timestamp, random: &Random) -> Result<(), DbError> {
    tx.run(ENQUEUE_USER, values![user.as_str(), ids::uuid_v7(now, random), now]).await.map(drop)
}

/// Marks a user for one biller, member or not.
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

/// Marks those with these usernames who were written at this very moment.
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
        let row = |row: &Row| Ok(values![row.text(0)?, row.text(1)?, &version, now, now, 0_i64, "", 0_i64, ""]);
        let rows = part.iter().map(row).collect::<Result<Vec<_>, DbError>>()?;
        if let Some(rows) = db.bulk_insert(ENQUEUE_WRITTEN, rows)? {
            tx.run_bulk_insert(rows).await?;
        }
    }
    Ok(())
}

impl Directory {
    /// Takes up changes that are due and that nobody is at, a few; they are this caller's until the lease ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lease_user_changes(
        &self,
        now: Timestamp,
        lease: Duration,
        random: &Random,
    ) -> Result<Vec<LeasedUserChange>, DirectoryError> {
        if self.db.one(IS_DUE, values![now]).await?.is_none() {
            return Ok(Vec::new());
        }
        let owner = ids::uuid_v7(now, random);
        let mut tx = self.db.begin().await?;
        let rows = tx.all(LEASE, values![&owner, now.plus(lease), now]).await?;
        if rows.is_empty() {
            // A biller that is legacy again wants none of them.
            tx.run(DISCARD_LEGACY, values![]).await?;
        }
        tx.commit().await?;
        let read = |row: &Row| {
            Ok(LeasedUserChange {
                biller: BillerId::from_stored(row.text(0)?),
                user: UserId::from_stored(row.text(1)?),
                version: row.text(2)?,
                attempts: row.int(3)?,
                owner: owner.clone(),
            })
        };
        rows.iter().map(read).collect()
    }

    /// A change has arrived. One that was marked anew meanwhile stays, and is taken up again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn complete_user_change(&self, change: &LeasedUserChange) -> Result<(), DirectoryError> {
        let mut row = change.key();
        row.push(change.version.as_str().into());
        if self.db.run(COMPLETE, row).await? == 0 {
            self.db.run(RELEASE, change.key()).await?;
        }
        Ok(())
    }

    /// A change could not be brought there, and is tried again from `due` on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn reschedule_user_change(
        &self,
        change: &LeasedUserChange,
        due: Timestamp,
        problem: &str,
    ) -> Result<(), DirectoryError> {
        let mut row = change.key();
        row.extend(values![change.version.as_str(), due, problem]);
        if self.db.run(RESCHEDULE, row).await? == 0 {
            self.db.run(RELEASE, change.key()).await?;
        }
        Ok(())
    }

    /// Forgets all changes of a biller whose pool is not ours to change.
    ///
    /// # Errors
    /// The database failed.
    pub async fn discard_user_changes(&self, biller: &BillerId) -> Result<(), DirectoryError> {
        Ok(self.db.run(DISCARD, values![biller.as_str()]).await.map(drop)?)
    }

    /// What is on its way, by biller.
    ///
    /// # Errors
    /// The database failed.
    pub async fn backlog(&self) -> Result<Vec<(BillerId, Backlog)>, DirectoryError> {
        let rows = self.db.all(BACKLOG, values![]).await?;
        let read = |row: &Row| {
            let backlog =
                Backlog { count: row.int(1)?, failing: row.int(2)?, oldest: row.time(3)?, problem: row.text(4)? };
            Ok((BillerId::from_stored(row.text(0)?), backlog))
        };
        rows.iter().map(read).collect()
    }

    /// How many users of a biller have changes on their way.
    ///
    /// # Errors
    /// The database failed.
    pub async fn backlog_of(&self, biller: &BillerId) -> Result<i64, DirectoryError> {
        const COUNT: &str = "SELECT count(*) FROM user_change WHERE biller_id = $1";
        let row = self.db.one(COUNT, values![biller.as_str()]).await?;
        Ok(row.map_or(Ok(0), |row| row.int(0))?)
    }
}

impl LeasedUserChange {
    fn key(&self) -> Vec<Value> {
        values![self.biller.as_str(), self.user.as_str(), self.owner.as_str()]
    }
}
