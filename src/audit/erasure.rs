//! What the decision log and the audit trail say about a person, for exports and erasures.
//!
//! No index serves these searches, because each decision would have to update it. So the log is read day by day and the trail page
//! by page, outside the transaction of the erasure.

use std::time::Duration;

use super::DecisionLog;
use super::events::{StoredEvent, parse_row};
use super::store::StoredEntry;
use crate::db::{Db, DbError, Row, Sql, Tx};
use crate::{sql, values};
use signpost_core::Timestamp;

const DECISIONS_OF_DAY: Sql = sql!(
    "SELECT code, at, kind, biller, username_hash, username_mask, response, details FROM decision_log \
     WHERE at >= $1 AND at < $1 + 86400000 AND username_hash IN {keys} ORDER BY at"
);
const DELETE_CODES: Sql = sql!("DELETE FROM decision_log WHERE kind <> $1 AND code IN {keys}");
const DELETE_SINCE: Sql = sql!("DELETE FROM decision_log WHERE at >= $1 AND username_hash IN {keys}");
const EVENTS_AFTER: Sql = sql!(
    "SELECT id, at, actor_kind, actor_id, actor_name, principal, role, action, biller, subject, reason, details \
     FROM audit_event WHERE id > $1 ORDER BY id LIMIT 500"
);
const REWRITE_EVENT: Sql = sql!("UPDATE audit_event SET subject = $2, reason = $3, details = $4 WHERE id = $1");

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Codes that one statement deletes.
const CODES_PER_STATEMENT: usize = 500;

impl DecisionLog {
    /// Entries with one of these hashes of usernames, each with its hash. `keep` is the retention: older entries are swept.
    pub async fn entries_of(
        &self,
        hashes: &[&str],
        keep: Duration,
        now: Timestamp,
    ) -> Result<Vec<(String, StoredEntry)>, DbError> {
        let mut found = Vec::new();
        if hashes.is_empty() {
            return Ok(found);
        }
        self.flush().await;
        // A day more, because the sweep may be late.
        let mut day = now.minus(keep + DAY);
        while day <= now {
            for row in self.db.all_in(DECISIONS_OF_DAY, day.into(), hashes).await? {
                found.push((row.text("username_hash")?, entry(&row)?));
            }
            day = day.plus(DAY);
        }
        Ok(found)
    }

    /// Deletes entries by their codes, and those with one of these hashes that were written since a time.
    pub async fn erase(tx: &mut Tx, codes: &[&str], (hashes, since): (&[&str], Timestamp)) -> Result<(), DbError> {
        for codes in codes.chunks(CODES_PER_STATEMENT) {
            tx.all_in(DELETE_CODES, "".into(), codes).await?;
        }
        tx.all_in(DELETE_SINCE, since.into(), hashes).await.map(drop)
    }
}

fn entry(row: &Row) -> Result<StoredEntry, DbError> {
    Ok(StoredEntry {
        code: row.text("code")?,
        at: row.time("at")?,
        kind: row.text("kind")?,
        biller: row.opt_text("biller")?,
        username_mask: row.opt_text("username_mask")?,
        response: row.text("response")?,
        details: serde_json::from_str(&row.text("details")?).unwrap_or_default(),
    })
}

/// Reads the whole audit trail, oldest events first.
pub async fn for_each_event(db: &Db, mut read: impl FnMut(StoredEvent)) -> Result<(), DbError> {
    let mut after = String::new();
    loop {
        let rows = db.all(EVENTS_AFTER, values![&after]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.text("id")?;
        for row in &rows {
            read(parse_row(row)?);
        }
    }
}

/// Replaces the texts of an event. Only an erasure does, to remove the name of a person: who acted, when and how stays.
pub async fn rewrite_event(tx: &mut Tx, event: &StoredEvent) -> Result<(), DbError> {
    let texts = values![&event.id, event.subject.clone(), event.reason.clone(), event.details.to_string()];
    tx.run(REWRITE_EVENT, texts).await.map(drop)
}
