//! Requests that are repeated: the `Idempotency-Key` field (draft-ietf-httpapi-idempotency-key-header).
//!
//! The claim is written in the transaction of what the request does, so that both last or neither. The answer is written
//! afterwards; where a process dies in between, the repetition finds a claim without an answer and finishes the rest.

use crate::db::{Db, DbError, Tx};
use crate::values;
use signpost_core::Timestamp;
use signpost_core::text::sha256;

const CLAIM: &str = "INSERT INTO idempotency (api_key, name, request, created_at) VALUES ($1, $2, $3, $4)";
const FIND: &str = "SELECT request, status, body FROM idempotency WHERE api_key = $1 AND name = $2";
const STORE_RESPONSE: &str =
    "UPDATE idempotency SET status = $3, body = $4 WHERE api_key = $1 AND name = $2 AND status IS NULL";
const SWEEP: &str = "DELETE FROM idempotency WHERE created_at < $1";

/// No key is longer.
const MAX_KEY_LENGTH: usize = 255;

/// A request that counts once, however often it is sent.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    api_key: String,
    name: String,
    request: String,
}

/// What is known of an earlier request with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// There was none, or it came to nothing.
    None,
    /// It was another request.
    Mismatch,
    /// It was this one, and was not answered.
    Incomplete,
    /// It was this one: status and body of the answer.
    Completed(i64, String),
}

impl IdempotencyKey {
    /// Reads the field's value: a quoted string (RFC 9651, section 3.3.3), or, as many clients send it, the bare text.
    /// None: not a key. `request` is what a repetition must have in common.
    pub fn parse(api_key: &str, field: &str, request: &[u8]) -> Option<Self> {
        let field = field.trim();
        let name = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field);
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ',');
        let fit = (1..=MAX_KEY_LENGTH).contains(&name.len()) && name.chars().all(plain);
        fit.then(|| Self { api_key: api_key.to_owned(), name: name.to_owned(), request: sha256(request) })
    }

    /// Claims the key, first in the transaction of what the request does. False: it was claimed before, and the transaction
    /// is of no more use.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim(&self, tx: &mut Tx, now: Timestamp) -> Result<bool, DbError> {
        match tx.run(CLAIM, values![&self.api_key, &self.name, &self.request, now]).await {
            Ok(_) => Ok(true),
            Err(DbError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks for an earlier request.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_replay(&self, db: &Db) -> Result<Replay, DbError> {
        let Some(row) = db.one(FIND, values![&self.api_key, &self.name]).await? else { return Ok(Replay::None) };
        if row.text(0)? != self.request {
            return Ok(Replay::Mismatch);
        }
        Ok(match (row.opt_int(1)?, row.opt_text(2)?) {
            (Some(status), Some(body)) => Replay::Completed(status, body),
            _ => Replay::Incomplete,
        })
    }

    /// Keeps the answer for repetitions. Of two that finish the same request the first one's counts.
    ///
    /// # Errors
    /// The database failed.
    pub async fn store_response(&self, db: &Db, status: u16, body: &str) -> Result<(), DbError> {
        db.run(STORE_RESPONSE, values![&self.api_key, &self.name, i64::from(status), body]).await.map(|_| ())
    }

    /// The same in the transaction of what the request does, after which no request is unfinished.
    ///
    /// # Errors
    /// The database failed.
    pub async fn store_response_in(&self, tx: &mut Tx, status: u16, body: &str) -> Result<(), DbError> {
        tx.run(STORE_RESPONSE, values![&self.api_key, &self.name, i64::from(status), body]).await.map(|_| ())
    }

    /// Forgets what is older than `before`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sweep(db: &Db, before: Timestamp) -> Result<(), DbError> {
        db.run(SWEEP, values![before]).await.map(|_| ())
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
