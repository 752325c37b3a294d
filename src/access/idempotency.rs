//! Idempotent requests: the `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header).
//!
//! The transaction of the change also claims the key, so both are committed or neither. The response is stored afterwards. If the
//! process dies in between, a retry finds a claim without a response and completes the request.

use std::time::Duration;

use crate::db::{Db, DbError, Sql, Tx};
use crate::{sql, values};
use signpost_core::Timestamp;
use signpost_core::text::sha256;

const CLAIM: Sql = sql!("INSERT INTO idempotency (api_key, name, request, created_at) VALUES ($1, $2, $3, $4)");
const FIND: Sql = sql!("SELECT request, status, body FROM idempotency WHERE api_key = $1 AND name = $2");
const STORE_RESPONSE: Sql =
    sql!("UPDATE idempotency SET status = $3, body = $4 WHERE api_key = $1 AND name = $2 AND status IS NULL");
const BODIES_OF_HOUR: Sql = sql!(
    "SELECT api_key, name, body, created_at FROM idempotency \
     WHERE created_at >= $1 AND created_at < $1 + 3600000 AND body IS NOT NULL"
);
const CLEAR_BODY: Sql = sql!("UPDATE idempotency SET body = '{}' WHERE api_key = $1 AND name = $2");
const SWEEP: Sql = sql!(
    "DELETE FROM idempotency WHERE (api_key, name) IN \
     (SELECT api_key, name FROM idempotency WHERE created_at < $1 LIMIT 100)"
);

/// How long a retry gets the response of the first request.
pub const IDEMPOTENCY_RETENTION: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
/// In bytes.
const MAX_KEY_LENGTH: usize = 255;

/// The key of a request, with the hash of the request itself.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    api_key: String,
    name: String,
    request: String,
}

/// An earlier request with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// There was none, or it changed nothing.
    None,
    /// It was a different request.
    Mismatch,
    /// It was the same request, and has no response yet.
    Incomplete,
    /// Status and body of its response.
    Completed(i64, String),
}

/// A stored response, for exports and erasures.
#[derive(Clone, Debug)]
pub struct StoredResponse {
    pub api_key: String,
    pub name: String,
    pub body: String,
    pub created_at: Timestamp,
}

impl StoredResponse {
    /// Stored responses whose body fits, hour by hour: no index serves the search.
    pub async fn find(db: &Db, now: Timestamp, fits: impl Fn(&str) -> bool) -> Result<Vec<Self>, DbError> {
        let mut found = Vec::new();
        // An hour more, because the sweep may be late.
        let mut hour = now.minus(IDEMPOTENCY_RETENTION + HOUR);
        while hour <= now {
            for row in db.all(BODIES_OF_HOUR, values![hour]).await? {
                let body = row.text("body")?;
                if fits(&body) {
                    let (api_key, name, created_at) =
                        (row.text("api_key")?, row.text("name")?, row.time("created_at")?);
                    found.push(Self { api_key, name, body, created_at });
                }
            }
            hour = hour.plus(HOUR);
        }
        Ok(found)
    }

    /// A retry then gets an empty object, and changes nothing.
    pub async fn clear(&self, tx: &mut Tx) -> Result<(), DbError> {
        tx.run(CLEAR_BODY, values![&self.api_key, &self.name]).await.map(drop)
    }
}

impl IdempotencyKey {
    /// Reads the header's value: a quoted string (RFC 9651, section 3.3.3) or, as many clients send it, the bare text. `None` if
    /// the value is no key. `request` is what a retry must have in common with the first request.
    pub fn parse(api_key: &str, field: &str, request: &[u8]) -> Option<Self> {
        let field = field.trim();
        let name = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field);
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ',');
        let fit = (1..=MAX_KEY_LENGTH).contains(&name.len()) && name.chars().all(plain);
        fit.then(|| Self { api_key: api_key.to_owned(), name: name.to_owned(), request: sha256(request) })
    }

    /// Claims the key as the first statement of the transaction of the change. Returns false if it is claimed already; the caller
    /// then drops the transaction.
    pub async fn claim(&self, tx: &mut Tx, now: Timestamp) -> Result<bool, DbError> {
        match tx.run(CLAIM, values![&self.api_key, &self.name, &self.request, now]).await {
            Ok(_) => Ok(true),
            Err(DbError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub async fn find_replay(&self, db: &Db) -> Result<Replay, DbError> {
        let Some(row) = db.one(FIND, values![&self.api_key, &self.name]).await? else { return Ok(Replay::None) };
        if row.text("request")? != self.request {
            return Ok(Replay::Mismatch);
        }
        Ok(match (row.opt_int("status")?, row.opt_text("body")?) {
            (Some(status), Some(body)) => Replay::Completed(status, body),
            _ => Replay::Incomplete,
        })
    }

    /// Stores the response for retries. The first stored response wins.
    pub async fn store_response(&self, db: &Db, status: u16, body: &str) -> Result<(), DbError> {
        db.run(STORE_RESPONSE, values![&self.api_key, &self.name, i64::from(status), body]).await.map(|_| ())
    }

    /// Stores the response in the transaction of the change, so that the request is never incomplete.
    pub async fn store_response_in(&self, tx: &mut Tx, status: u16, body: &str) -> Result<(), DbError> {
        tx.run(STORE_RESPONSE, values![&self.api_key, &self.name, i64::from(status), body]).await.map(|_| ())
    }

    pub async fn sweep(db: &Db, before: Timestamp) -> Result<(), DbError> {
        db.sweep(SWEEP, values![before]).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotency_keys_are_quoted_or_bare() {
        let read = |field: &str| IdempotencyKey::parse("key", field, b"").map(|once| once.name);
        assert_eq!(read("\"8e03978e-40d5\"").as_deref(), Some("8e03978e-40d5"));
        assert_eq!(read(" 8e03978e-40d5 ").as_deref(), Some("8e03978e-40d5"));
        for bad in ["", "\"\"", "\"a", "a, b", "a b", "\"a\", \"b\"", "ключ", &"x".repeat(256)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
