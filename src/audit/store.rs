//! SQL statements of the decision log.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::daily_stats::{self, Metric};
use crate::db::{Db, DbError, ROWS_PER_STATEMENT, Sql, Value};
use crate::{sql, values};
use signpost_core::decision::{Decision, Facts, Outcome};
use signpost_core::reference::CodeKind;
use signpost_core::{ReferenceCode, Slug, Timestamp};

const INSERT: Sql = sql!(
    "INSERT INTO decision_log (code, at, kind, biller, username_hash, username_mask, response, details) \
     VALUES {rows} ON CONFLICT DO NOTHING"
);
const BY_CODE: Sql =
    sql!("SELECT at, kind, biller, username_mask, response, details FROM decision_log WHERE code = $1");
const SWEEP: Sql =
    sql!("DELETE FROM decision_log WHERE code IN (SELECT code FROM decision_log WHERE at < $1 LIMIT 100)");

#[derive(Debug)]
pub(super) struct PendingEntry {
    pub code: String,
    pub at: Timestamp,
    pub kind: String,
    pub biller: Option<String>,
    pub username_hash: Option<String>,
    pub username_mask: Option<String>,
    pub response: String,
    pub metric: Option<Metric>,
    pub details: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct StoredEntry {
    pub code: String,
    pub at: Timestamp,
    /// `row N`, `page` or `error`.
    pub kind: String,
    /// The biller's slug.
    pub biller: Option<String>,
    /// The username with its middle hidden.
    pub username_mask: Option<String>,
    /// The page or redirect that the customer got.
    pub response: String,
    /// Facts and verdict, or the cause of an error. The verdict has no trace if this version of Signpost decides differently.
    pub details: Json,
}

#[derive(Clone, Debug)]
pub enum LookupResult {
    Recorded(Box<StoredEntry>),
    /// This installation issued the code but has no record: the page had no decision, or the process was killed.
    NotRecorded(CodeKind, Timestamp),
    /// The code is mistyped or from another installation.
    UnknownCode,
}

impl StoredEntry {
    /// Adds the verdict of a decision: the log stores its facts and its outcome, and the trace follows from the facts.
    fn explain(&mut self) {
        let verdict = self.outcome().and_then(|outcome| {
            let facts: Facts = serde_json::from_value(self.details["facts"].clone()).ok()?;
            serde_json::to_value(outcome.explain(&facts)).ok()
        });
        if let (Some(verdict), Some(details)) = (verdict, self.details.as_object_mut()) {
            details.remove("rule");
            details.insert("verdict".to_owned(), verdict);
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        Some(Outcome {
            decision: Decision::ALL.into_iter().find(|decision| decision.response() == self.response)?,
            row: self.kind.strip_prefix("row ")?.parse().ok()?,
            biller: self.biller.as_deref().map(Slug::parse).transpose().ok()?,
            rule: serde_json::from_value(self.details["rule"].clone()).ok()?,
        })
    }
}

/// Writes entries and counts them. Entries that are there already, because the result of an earlier commit was lost, are not
/// counted again.
pub(super) async fn insert(db: &Db, entries: &[PendingEntry]) -> Result<(), DbError> {
    let mut tx = db.begin_shared().await?;
    let mut added = 0;
    for chunk in entries.chunks(ROWS_PER_STATEMENT) {
        let rows = chunk.iter().map(PendingEntry::values).collect();
        if let Some(rows) = db.bulk_insert(INSERT, rows)? {
            added += tx.run_bulk_insert(rows).await?;
        }
    }
    if added == entries.len() as u64 {
        daily_stats::add(&mut tx, counts(entries.iter())).await?;
        return tx.commit().await;
    }
    drop(tx);
    insert_missing(db, entries).await
}

async fn insert_missing(db: &Db, entries: &[PendingEntry]) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    let mut added = Vec::new();
    for entry in entries {
        if let Some(row) = db.bulk_insert(INSERT, vec![entry.values()])?
            && tx.run_bulk_insert(row).await? > 0
        {
            added.push(entry);
        }
    }
    daily_stats::add(&mut tx, counts(added.into_iter())).await?;
    tx.commit().await
}

fn counts<'e>(entries: impl Iterator<Item = &'e PendingEntry>) -> BTreeMap<(&'e str, Metric, i64), i64> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        if let (Some(biller), Some(metric)) = (&entry.biller, entry.metric) {
            *counts.entry((biller.as_str(), metric, daily_stats::day_of(entry.at))).or_insert(0) += 1;
        }
    }
    counts
}

impl PendingEntry {
    fn values(&self) -> Vec<Value> {
        let (biller, hash, masked) = (self.biller.clone(), self.username_hash.clone(), self.username_mask.clone());
        values![&self.code, self.at, &self.kind, biller, hash, masked, &self.response, &self.details]
    }
}

pub(super) async fn find(db: &Db, code: &ReferenceCode, key: &[u8; 32]) -> Result<LookupResult, DbError> {
    if let Some(row) = db.one(BY_CODE, values![code.as_str()]).await? {
        let mut entry = StoredEntry {
            code: code.to_string(),
            at: row.time("at")?,
            kind: row.text("kind")?,
            biller: row.opt_text("biller")?,
            username_mask: row.opt_text("username_mask")?,
            response: row.text("response")?,
            details: serde_json::from_str(&row.text("details")?).unwrap_or_default(),
        };
        entry.explain();
        return Ok(LookupResult::Recorded(Box::new(entry)));
    }
    Ok(code.decode(key).map_or(LookupResult::UnknownCode, |(kind, at)| LookupResult::NotRecorded(kind, at)))
}

pub(super) async fn sweep(db: &Db, before: Timestamp) -> Result<u64, DbError> {
    db.sweep(SWEEP, values![before]).await
}
