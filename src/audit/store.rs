//! SQL statements of the decision log.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::daily_stats::{self, Metric};
use crate::db::{Db, DbError, Sql};
use crate::{sql, values};
use signpost_core::reference::CodeKind;
use signpost_core::{ReferenceCode, Timestamp};

const INSERT: Sql = sql!(
    "INSERT INTO decision_log (code, at, kind, biller, username_hash, username_mask, response, details) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"
);
const BY_CODE: Sql =
    sql!("SELECT at, kind, biller, username_mask, response, details FROM decision_log WHERE code = $1");
const SWEEP: Sql = sql!("DELETE FROM decision_log WHERE at < $1");

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
    /// Facts and verdict, or the cause of an error.
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

pub(super) async fn insert(db: &Db, entries: &[PendingEntry]) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    let mut counts = BTreeMap::new();
    for entry in entries {
        let (code, kind, response) = (&entry.code, &entry.kind, &entry.response);
        let (biller, hash, masked) = (entry.biller.clone(), entry.username_hash.clone(), entry.username_mask.clone());
        let row = values![code, entry.at, kind, biller, hash, masked, response, &entry.details];
        let is_new = tx.run(INSERT, row).await? > 0;
        if let (true, Some(biller), Some(metric)) = (is_new, &entry.biller, entry.metric) {
            *counts.entry((biller.as_str(), metric, daily_stats::day_of(entry.at))).or_insert(0) += 1;
        }
    }
    daily_stats::add(&mut tx, counts).await?;
    tx.commit().await
}

pub(super) async fn find(db: &Db, code: &ReferenceCode, key: &[u8; 32]) -> Result<LookupResult, DbError> {
    if let Some(row) = db.one(BY_CODE, values![code.as_str()]).await? {
        return Ok(LookupResult::Recorded(Box::new(StoredEntry {
            code: code.to_string(),
            at: row.time("at")?,
            kind: row.text("kind")?,
            biller: row.opt_text("biller")?,
            username_mask: row.opt_text("username_mask")?,
            response: row.text("response")?,
            details: serde_json::from_str(&row.text("details")?).unwrap_or_default(),
        })));
    }
    Ok(code.decode(key).map_or(LookupResult::UnknownCode, |(kind, at)| LookupResult::NotRecorded(kind, at)))
}

pub(super) async fn sweep(db: &Db, before: Timestamp) -> Result<u64, DbError> {
    db.run(SWEEP, values![before]).await
}
