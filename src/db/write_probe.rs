//! Notices that the database refuses writes: a server can become read-only and a disk full while everything can still be read.
//!
//! A sign-in that begins then could not be completed, so customers are routed as if the database were away. A task writes at short
//! intervals, and the first success ends that.

use std::time::{Duration, Instant};

use super::error::DbError;
use super::handle::Db;
use super::statement::Sql;
use super::write_health::WriteHealth;
use crate::{sql, values};

const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// Writes a row as it is. It also needs space in SQLite's log or PostgreSQL's.
const PROBE: Sql = sql!("UPDATE revision SET value = value WHERE name = 'billers'");

impl Db {
    fn write_health(&self) -> &WriteHealth {
        match self {
            Self::Sqlite(file) => &file.write_health,
            Self::Postgres(pool) => &pool.write_health,
        }
    }

    /// Why the database refuses writes. `None`: as far as is known, it accepts them.
    pub fn write_refusal(&self) -> Option<&'static str> {
        self.write_health().refusal()
    }

    /// Notes a write that was refused, and begins to probe. Returns the error.
    pub(super) fn note_write_failure(&self, error: DbError) -> DbError {
        if let Some(cause) = error.refused_write()
            && self.write_health().replace(Some(cause)).is_none()
        {
            tracing::error!(
                cause = %error,
                "the database refuses writes: customers are routed as if it were away until a write succeeds"
            );
            tokio::spawn(self.clone().probe_writes());
        }
        error
    }

    async fn probe_writes(self) {
        let started = Instant::now();
        loop {
            tokio::time::sleep(PROBE_INTERVAL).await;
            match self.run(PROBE, values![]).await {
                Ok(_) => break,
                Err(DbError::Failed(sqlx::Error::PoolClosed)) => return,
                Err(_) => {}
            }
        }
        self.write_health().replace(None);
        tracing::info!(seconds = started.elapsed().as_secs(), "the database accepts writes again");
    }
}
