//! Networks from which a user signed in with a username before: no stranger can exhaust the limit of the two together.
//!
//! All instances share them, and they outlive a restart. A row is a keyed hash of network and username, and a day. An instance
//! keeps what it has seen in memory, so a lookup reads the table only after its limit is exhausted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::Client;
use crate::db::{Db, DbError, Sql, Tx};
use crate::{sql, values};
use signpost_core::text::{hash64, keyed_hash};
use signpost_core::{Clock, KeyRing};

const RECORD: Sql = sql!(
    "INSERT INTO known_network (id, last_day) VALUES ($1, $2) \
     ON CONFLICT (id) DO UPDATE SET last_day = excluded.last_day"
);
const FIND: Sql = sql!("SELECT last_day FROM known_network WHERE id = $1 AND last_day >= $2");
const SWEEP: Sql =
    sql!("DELETE FROM known_network WHERE id IN (SELECT id FROM known_network WHERE last_day < $1 LIMIT 100)");

/// As long as the cookie of a device that signed in.
const RETENTION_DAYS: i64 = 180;
/// A row is written again after this time at the earliest, not by each sign-in.
const REFRESH_DAYS: i64 = 7;
const SECONDS_PER_DAY: i64 = 24 * 3600;
/// Of pairs in memory. Beyond it, an instance starts over; the table has them all.
const MAX_RECENT: usize = 200_000;

pub struct KnownNetworks {
    db: Db,
    clock: Clock,
    key: [u8; 32],
    /// The day that the table has, by network and hash of the username.
    recent: Arc<Mutex<HashMap<(Client, u64), i64>>>,
}

impl std::fmt::Debug for KnownNetworks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownNetworks")
    }
}

impl KnownNetworks {
    pub fn new(db: Db, clock: Clock, keys: &KeyRing) -> Self {
        Self { db, clock, key: key_of_table(keys), recent: Arc::default() }
    }

    /// The same networks under another key ring.
    #[must_use]
    pub fn with_keys(&self, keys: &KeyRing) -> Self {
        Self {
            db: self.db.clone(),
            clock: self.clock.clone(),
            key: key_of_table(keys),
            recent: Arc::clone(&self.recent),
        }
    }

    /// Records a sign-in with this username in the transaction of the sign-in. Call [`KnownNetworks::remember`] after its
    /// commit.
    pub async fn record(&self, tx: &mut Tx, client: Client, username: &str) -> Result<(), DbError> {
        let Some(id) = self.id(client, username) else { return Ok(()) };
        let today = self.today();
        let is_recorded = self.recent().get(&key(client, username)).is_some_and(|day| day + REFRESH_DAYS > today);
        if !is_recorded {
            tx.run(RECORD, values![id, today]).await?;
        }
        Ok(())
    }

    /// Keeps a recorded sign-in in memory.
    pub fn remember(&self, client: Client, username: &str) {
        let today = self.today();
        let mut recent = self.recent();
        if recent.len() >= MAX_RECENT {
            recent.clear();
        }
        let day = recent.entry(key(client, username)).or_insert(today);
        if *day + REFRESH_DAYS <= today {
            *day = today;
        }
    }

    /// Whether this instance has seen a sign-in with this username from this network.
    pub fn is_remembered(&self, client: Client, username: &str) -> bool {
        self.recent().get(&key(client, username)).is_some_and(|day| day + RETENTION_DAYS >= self.today())
    }

    /// Whether any instance has. One read, by the key of the table, for every username.
    pub async fn contains(&self, client: Client, username: &str) -> Result<bool, DbError> {
        let Some(id) = self.id(client, username) else { return Ok(false) };
        let found = self.db.one(FIND, values![id, self.today() - RETENTION_DAYS]).await?;
        if let Some(row) = &found {
            self.recent().insert(key(client, username), row.int("last_day")?);
        }
        Ok(found.is_some())
    }

    /// Deletes networks without a sign-in during the retention.
    pub async fn sweep(&self) -> Result<(), DbError> {
        let oldest = self.today() - RETENTION_DAYS;
        self.db.sweep(SWEEP, values![oldest]).await?;
        self.recent().retain(|_, day| *day >= oldest);
        Ok(())
    }

    /// `None`: the proxy does not say which network it is.
    fn id(&self, client: Client, username: &str) -> Option<String> {
        let Client::Address(network) = client.network() else { return None };
        let mut id = keyed_hash(&self.key, format!("{network} {username}").as_bytes());
        // 132 bits tell them apart and keep the table small.
        id.truncate(22);
        Some(id)
    }

    fn today(&self) -> i64 {
        self.clock.now().seconds().div_euclid(SECONDS_PER_DAY)
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<(Client, u64), i64>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of_table(keys: &KeyRing) -> [u8; 32] {
    keys.derive_key("networks of sign-ins")
}

fn key(client: Client, username: &str) -> (Client, u64) {
    (client.network(), hash64(username.as_bytes()))
}
