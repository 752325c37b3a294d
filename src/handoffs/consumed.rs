//! Tokens that work once. Each is consumed by one insert, so that two instances cannot both accept it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::db::{Db, DbError, Sql};
use crate::{sql, values};
use signpost_core::{Clock, Timestamp};

const FIND: Sql = sql!("SELECT 1 FROM consumed_token WHERE kind = $1 AND id = $2");
const INSERT: Sql =
    sql!("INSERT INTO consumed_token (kind, id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
const SWEEP: Sql = sql!(
    "DELETE FROM consumed_token WHERE (kind, id) IN \
     (SELECT kind, id FROM consumed_token WHERE expires_at < $1 LIMIT 100)"
);

/// Longer than any token lives: the settings allow an hour.
const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// Ids are unique within a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A customer's sign-in at an identity provider.
    AuthorizationRequest,
    /// A sign-in of staff at their identity provider.
    StaffAuthorizationRequest,
    Handoff,
    /// A logout token of an issuer (OpenID Connect Back-Channel Logout 1.0, section 2.4).
    Logout,
}

impl TokenKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationRequest => "authorization_request",
            Self::StaffAuthorizationRequest => "staff_authorization_request",
            Self::Handoff => "handoff",
            Self::Logout => "logout",
        }
    }
}

/// The ids of consumed tokens.
#[derive(Clone, Debug)]
pub struct ConsumedTokens {
    db: Db,
    clock: Clock,
    /// Handoffs to the legacy login that this instance redeemed, for the time without the database.
    legacy_handoffs: Arc<Mutex<HashMap<String, RedeemedHere>>>,
}

#[derive(Clone, Copy, Debug)]
struct RedeemedHere {
    expires_at: Timestamp,
    is_stored: bool,
}

impl ConsumedTokens {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, legacy_handoffs: Arc::default() }
    }

    /// Consumes a token. The answer is true for the first caller only.
    ///
    /// # Errors
    /// The database failed. The caller must treat the token as consumed.
    pub async fn consume(&self, kind: TokenKind, id: &str) -> Result<bool, DbError> {
        self.store(kind, id).await
    }

    /// Consumes a handoff to the legacy login, and remembers that in this instance until the handoff expires.
    pub(super) async fn consume_legacy_handoff(&self, id: &str, expires_at: Timestamp) -> Result<bool, DbError> {
        if self.legacy_handoffs().contains_key(id) {
            return Ok(false);
        }
        let is_first = self.store(TokenKind::Handoff, id).await?;
        if is_first {
            self.legacy_handoffs().insert(id.to_owned(), RedeemedHere { expires_at, is_stored: true });
        }
        Ok(is_first)
    }

    /// Consumes it without the database: single use is enforced in the memory of this instance. [`Self::persist`] stores it later.
    pub(super) fn consume_legacy_handoff_offline(&self, id: &str, expires_at: Timestamp) -> bool {
        let mut handoffs = self.legacy_handoffs();
        if handoffs.contains_key(id) {
            return false;
        }
        handoffs.insert(id.to_owned(), RedeemedHere { expires_at, is_stored: false });
        true
    }

    /// Stores what was consumed without the database, and forgets what has expired.
    pub async fn persist(&self) -> Result<(), DbError> {
        let now = self.clock.now();
        let missing: Vec<String> = {
            let mut handoffs = self.legacy_handoffs();
            handoffs.retain(|_, redeemed| !redeemed.is_stored || redeemed.expires_at > now);
            // A map does not shrink by itself after a busy hour.
            let kept = handoffs.len();
            handoffs.shrink_to(2 * kept);
            handoffs.iter().filter(|(_, redeemed)| !redeemed.is_stored).map(|(id, _)| id.clone()).collect()
        };
        for id in missing {
            self.store(TokenKind::Handoff, &id).await?;
            if let Some(redeemed) = self.legacy_handoffs().get_mut(&id) {
                redeemed.is_stored = true;
            }
        }
        Ok(())
    }

    async fn store(&self, kind: TokenKind, id: &str) -> Result<bool, DbError> {
        let expires_at = self.clock.now().plus(RETENTION);
        Ok(self.db.run(INSERT, values![kind.as_str(), id, expires_at]).await? > 0)
    }

    fn legacy_handoffs(&self) -> MutexGuard<'_, HashMap<String, RedeemedHere>> {
        self.legacy_handoffs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn contains(&self, kind: TokenKind, id: &str) -> Result<bool, DbError> {
        Ok(self.db.one(FIND, values![kind.as_str(), id]).await?.is_some())
    }

    /// Deletes the ids of tokens that have expired.
    pub async fn sweep(&self) -> Result<(), DbError> {
        self.db.sweep(SWEEP, values![self.clock.now()]).await.map(drop)
    }
}
