//! Limits per network and username that an instance has seen exhausted. The other instances apply them within a second, so that
//! several instances give a stranger no more tries than one.
//!
//! The instances share that a limit is exhausted, not each count: a lookup writes nothing until then. A row is a keyed hash of
//! network and username, and the time of the next try.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::limits::{Client, Throttled};
use crate::db::{Db, DbError, Sql};
use crate::{sql, values};
use signpost_core::text::keyed_hash;
use signpost_core::{Clock, KeyRing, Timestamp};

const RECORD: Sql = sql!(
    "INSERT INTO exhausted_limit (id, next_try_at, recorded_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET \
     next_try_at = excluded.next_try_at, recorded_at = excluded.recorded_at"
);
const RECENT: Sql =
    sql!("SELECT id, next_try_at FROM exhausted_limit WHERE recorded_at >= $1 ORDER BY recorded_at DESC LIMIT 10000");
const SWEEP: Sql =
    sql!("DELETE FROM exhausted_limit WHERE id IN (SELECT id FROM exhausted_limit WHERE recorded_at < $1 LIMIT 100)");

/// Each refresh reads what was recorded since then: more than instances' clocks may differ.
const REFRESH_WINDOW: Duration = Duration::from_secs(60);
/// Longer than any limit lasts.
const RETENTION: Duration = Duration::from_secs(3600);

#[derive(Clone)]
pub struct ExhaustedLimits {
    db: Db,
    clock: Clock,
    key: [u8; 32],
    /// The time of the next try.
    known: Arc<Mutex<HashMap<String, Timestamp>>>,
}

impl std::fmt::Debug for ExhaustedLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExhaustedLimits")
    }
}

impl ExhaustedLimits {
    pub fn new(db: Db, clock: Clock, keys: &KeyRing) -> Self {
        Self { db, clock, key: key_of_table(keys), known: Arc::default() }
    }

    /// The same limits under another key ring.
    #[must_use]
    pub fn with_keys(&self, keys: &KeyRing) -> Self {
        Self { key: key_of_table(keys), ..self.clone() }
    }

    /// How long the limit of a username and network is exhausted, as any instance has seen.
    pub fn throttled(&self, client: Client, username: &str) -> Option<Throttled> {
        let known = self.known();
        if known.is_empty() {
            return None;
        }
        let next_try = *known.get(&self.id(client, username)?)?;
        let now = self.clock.now();
        let left = u64::try_from(next_try.millis() - now.millis()).ok().filter(|left| *left > 0)?;
        Some(Throttled { retry_after: Duration::from_millis(left) })
    }

    /// Tells the other instances. Without the database each applies its own limit.
    pub async fn record(&self, client: Client, username: &str, limit: Throttled) -> Result<(), DbError> {
        let Some(id) = self.id(client, username) else { return Ok(()) };
        let now = self.clock.now();
        let next_try = now.plus(limit.retry_after);
        if self.known().get(&id).is_some_and(|known| *known > now) {
            return Ok(());
        }
        self.db.run(RECORD, values![&id, next_try, now]).await?;
        self.known().insert(id, next_try);
        Ok(())
    }

    /// Reads what other instances recorded. To be repeated within a second.
    pub async fn refresh(&self) -> Result<(), DbError> {
        let now = self.clock.now();
        let mut recent = HashMap::new();
        for row in self.db.all(RECENT, values![now.minus(REFRESH_WINDOW)]).await? {
            recent.insert(row.text("id")?, row.time("next_try_at")?);
        }
        let mut known = self.known();
        known.retain(|_, next_try| *next_try > now);
        known.extend(recent.into_iter().filter(|(_, next_try)| *next_try > now));
        Ok(())
    }

    /// Deletes limits that are over.
    pub async fn sweep(&self) -> Result<(), DbError> {
        let before = self.clock.now().minus(RETENTION);
        self.db.sweep(SWEEP, values![before]).await.map(drop)
    }

    /// `None`: the proxy does not say which network it is.
    fn id(&self, client: Client, username: &str) -> Option<String> {
        let Client::Address(network) = client.network() else { return None };
        let mut id = keyed_hash(&self.key, format!("{network} {username}").as_bytes());
        id.truncate(22);
        Some(id)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of_table(keys: &KeyRing) -> [u8; 32] {
    keys.derive_key("exhausted limits")
}
