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
const ANSWER: &str =
    "UPDATE idempotency SET status = $3, body = $4 WHERE api_key = $1 AND name = $2 AND status IS NULL";
const SWEEP: &str = "DELETE FROM idempotency WHERE created_at < $1";

/// No key is longer.
const LONGEST: usize = 255;

/// A request that counts once, however often it is sent.
#[derive(Clone, Debug)]
pub struct Once {
    api_key: String,
    name: String,
    request: String,
}

/// What is known of an earlier request with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// There was none, or it came to nothing.
    None,
    /// It was another request.
    Other,
    /// It was this one, and was not answered.
    Unfinished,
    /// It was this one: status and body of the answer.
    Answered(i64, String),
}

impl Once {
    /// Reads the field's value: a quoted string (RFC 9651, section 3.3.3), or, as many clients send it, the bare text.
    /// None: not a key. `request` is what a repetition must have in common.
    pub fn read(api_key: &str, field: &str, request: &[u8]) -> Option<Self> {
        let field = field.trim();
        let name = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field);
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ',');
        let fit = (1..=LONGEST).contains(&name.len()) && name.chars().all(plain);
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
    pub async fn earlier(&self, db: &Db) -> Result<Earlier, DbError> {
        let Some(row) = db.one(FIND, values![&self.api_key, &self.name]).await? else { return Ok(Earlier::None) };
        if row.text(0)? != self.request {
            return Ok(Earlier::Other);
        }
        Ok(match (row.opt_int(1)?, row.opt_text(2)?) {
            (Some(status), Some(body)) => Earlier::Answered(status, body),
            _ => Earlier::Unfinished,
        })
    }

    /// Keeps the answer for repetitions. Of two that finish the same request the first one's counts.
    ///
    /// # Errors
    /// The database failed.
    pub async fn answer(&self, db: &Db, status: u16, body: &str) -> Result<(), DbError> {
        db.run(ANSWER, values![&self.api_key, &self.name, i64::from(status), body]).await.map(|_| ())
    }

    /// The same in the transaction of what the request does, after which no request is unfinished.
    ///
    /// # Errors
    /// The database failed.
    pub async fn answer_in(&self, tx: &mut Tx, status: u16, body: &str) -> Result<(), DbError> {
        tx.run(ANSWER, values![&self.api_key, &self.name, i64::from(status), body]).await.map(|_| ())
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
    fn keys_are_quoted_or_bare_and_nothing_else() {
        let read = |field: &str| Once::read("key", field, b"").map(|once| once.name);
        assert_eq!(read("\"8e03978e-40d5\"").as_deref(), Some("8e03978e-40d5"));
        assert_eq!(read(" 8e03978e-40d5 ").as_deref(), Some("8e03978e-40d5"));
        for bad in ["", "\"\"", "\"a", "a, b", "a b", "\"a\", \"b\"", "ключ", &"x".repeat(256)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
