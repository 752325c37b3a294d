//! The session table. It holds hashes of session ids, so that a leaked table gives no cookies. An ended row stays until it is
//! swept, and no write revives it: another tab may have signed out meanwhile. The server judges idle and absolute lifetime.

use std::time::Duration;

use crate::config;
use crate::db::{Db, DbError, Sql, Tx};
use crate::{sql, values};
use signpost_core::text::sha256;
use signpost_core::{Clock, Timestamp};

const INSERT: Sql = sql!(
    "INSERT INTO session (id_hash, kind, owner, data, created_at, last_seen) VALUES ($1, $2, $3, $4, $5, $5) \
     ON CONFLICT DO NOTHING"
);
const LOAD: Sql = sql!(
    "SELECT owner, data, created_at, last_seen FROM session \
     WHERE id_hash = $1 AND kind = $2 AND ended_at IS NULL AND last_seen > $3 AND created_at > $4"
);
const TOUCH: Sql = sql!("UPDATE session SET last_seen = $2 WHERE id_hash = $1 AND ended_at IS NULL AND last_seen < $2");
const END: Sql = sql!(
    "UPDATE session SET ended_at = $3 WHERE id_hash = $1 AND kind = $2 AND ended_at IS NULL \
     RETURNING owner, created_at, last_seen"
);
const COUNT_LIVE: Sql = sql!(
    "SELECT count(*) AS total FROM session WHERE kind = $1 AND last_seen > $2 AND created_at > $3 AND ended_at IS NULL"
);
const LATEST: Sql =
    sql!("SELECT data FROM session WHERE kind = $1 AND owner = $2 ORDER BY created_at DESC, id_hash LIMIT 1");
const SWEEP: Sql = sql!(
    "DELETE FROM session WHERE id_hash IN \
     (SELECT id_hash FROM session WHERE kind = $1 AND last_seen < $2 LIMIT 100)"
);

const END_ALL: Sql = sql!("UPDATE session SET ended_at = $1 WHERE ended_at IS NULL");

/// `last_seen` is written at most so often.
const TOUCH_INTERVAL: Duration = Duration::from_secs(30);
/// Retention of ended and idle sessions, at least.
pub(super) const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whose sessions a [`Sessions`] holds. A session id of one kind is unknown to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// The owner is the id of a browser session, which outlives the rotation of the session id.
    Customer,
    /// The owner is the subject at the staff's issuer.
    Staff,
}

impl SessionKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
        }
    }
}

/// How long a session lives.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// Without a request.
    pub idle: Duration,
    /// In all.
    pub absolute: Duration,
}

impl Lifetime {
    fn new(idle_minutes: u64, absolute_hours: u64) -> Self {
        Self {
            idle: Duration::from_secs(idle_minutes.saturating_mul(60)),
            absolute: Duration::from_secs(absolute_hours.saturating_mul(3600)),
        }
    }
}

impl From<&config::Sessions> for Lifetime {
    fn from(settings: &config::Sessions) -> Self {
        Self::new(settings.idle_minutes, settings.absolute_hours)
    }
}

impl From<&config::Console> for Lifetime {
    fn from(settings: &config::Console) -> Self {
        Self::new(settings.idle_minutes, settings.absolute_hours)
    }
}

/// A live session.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// See [`SessionKind`].
    pub owner: String,
    /// What the caller stored.
    pub data: String,
    pub created_at: Timestamp,
}

/// The sessions of one kind.
#[derive(Clone, Debug)]
pub struct Sessions {
    db: Db,
    clock: Clock,
    kind: SessionKind,
    lifetime: Lifetime,
}

impl Sessions {
    pub fn new(db: Db, clock: Clock, kind: SessionKind, lifetime: impl Into<Lifetime>) -> Self {
        Self { db, clock, kind, lifetime: lifetime.into() }
    }

    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Stores a session under a new id and ends the one of the previous id, both or neither.
    pub async fn replace(&self, previous: Option<&str>, id: &str, owner: &str, data: &str) -> Result<(), DbError> {
        let (kind, now) = (self.kind.as_str(), self.clock.now());
        let mut tx = self.db.begin().await?;
        if let Some(previous) = previous {
            tx.all(END, values![hash(previous), kind, now]).await?;
        }
        tx.run(INSERT, values![hash(id), kind, owner, data, now]).await?;
        tx.commit().await
    }

    /// The session, while it lives. A load counts as its use.
    pub async fn load(&self, id: &str) -> Result<Option<StoredSession>, DbError> {
        let now = self.clock.now();
        let Lifetime { idle, absolute } = self.lifetime;
        let values = values![hash(id), self.kind.as_str(), now.minus(idle), now.minus(absolute)];
        let Some(row) = self.db.one(LOAD, values).await? else { return Ok(None) };
        touch(&self.db, id, row.time("last_seen")?, now).await;
        let (owner, data, created_at) = (row.text("owner")?, row.text("data")?, row.time("created_at")?);
        Ok(Some(StoredSession { owner, data, created_at }))
    }

    pub async fn end(&self, id: &str) -> Result<(), DbError> {
        self.db.run(END, values![hash(id), self.kind.as_str(), self.clock.now()]).await.map(drop)
    }

    /// The number of live sessions. It reads the rows of the last idle time.
    pub async fn count_live(&self) -> Result<i64, DbError> {
        let (now, Lifetime { idle, absolute }) = (self.clock.now(), self.lifetime);
        let row = self.db.one(COUNT_LIVE, values![self.kind.as_str(), now.minus(idle), now.minus(absolute)]).await?;
        row.map_or(Ok(0), |row| row.int("total"))
    }

    /// The data of the owner's newest session, which may have ended.
    pub async fn latest_of(&self, owner: &str) -> Result<Option<String>, DbError> {
        let row = self.db.one(LATEST, values![self.kind.as_str(), owner]).await?;
        row.map(|row| row.text("data")).transpose()
    }

    /// Deletes sessions that were last seen before the retention.
    pub async fn sweep(&self) -> Result<(), DbError> {
        let before = self.clock.now().minus(RETENTION.max(self.lifetime.idle));
        self.db.sweep(SWEEP, values![self.kind.as_str(), before]).await.map(drop)
    }
}

/// Ends every session of customers and staff.
pub(super) async fn end_every_session(tx: &mut Tx, now: Timestamp) -> Result<u64, DbError> {
    tx.run(END_ALL, values![now]).await
}

/// Stores a customer's session under a new id.
pub(super) async fn insert_customer(tx: &mut Tx, id: &str, owner: &str, now: Timestamp) -> Result<(), DbError> {
    tx.run(INSERT, values![hash(id), SessionKind::Customer.as_str(), owner, "{}", now]).await.map(drop)
}

/// Ends a customer's session. Returns its owner if it was still alive.
pub(super) async fn end_customer(
    tx: &mut Tx,
    id: &str,
    lifetime: Lifetime,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let ended = tx.all(END, values![hash(id), SessionKind::Customer.as_str(), now]).await?;
    let Some(row) = ended.first() else { return Ok(None) };
    let is_alive =
        row.time("last_seen")?.plus(lifetime.idle) > now && row.time("created_at")?.plus(lifetime.absolute) > now;
    Ok(if is_alive { Some(row.text("owner")?) } else { None })
}

/// Writes the last use of a session, unless it was written moments ago.
pub(super) async fn touch(db: &Db, id: &str, last_seen: Timestamp, now: Timestamp) {
    if last_seen.plus(TOUCH_INTERVAL) > now {
        return;
    }
    // A database that can only be read still knows who is signed in.
    if let Err(error) = db.run(TOUCH, values![hash(id), now]).await {
        tracing::debug!(error = %error, "the last use of a session was not written");
    }
}

/// A leaked table gives no cookies.
pub(super) fn hash(id: &str) -> String {
    sha256(id.as_bytes())
}
