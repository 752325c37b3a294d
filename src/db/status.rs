//! What operators see of the database: schema, connections and the write-ahead log.

use std::io::ErrorKind;

use super::error::DbError;
use super::handle::Db;
use super::migrations;
use super::statement::Sql;
use crate::telemetry::metrics::PoolWaits;
use crate::{sql, values};
use signpost_core::Timestamp;

const CLOCK: Sql = sql!("SELECT CAST(CURRENT_TIMESTAMP AS TEXT) AS now");

/// A pool of connections at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// `postgres`, or `read` or `write` on SQLite.
    pub name: &'static str,
    pub in_use: u32,
    pub idle: u32,
    pub max: u32,
}

impl PoolStatus {
    fn new(name: &'static str, in_use: usize, open: usize, max: usize) -> Self {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self { name, in_use: number(in_use), idle: number(open.saturating_sub(in_use)), max: number(max) }
    }
}

impl Db {
    /// The schema of the database and the one of this program, read anew.
    pub async fn schema_versions(&self) -> Result<(i64, i64), DbError> {
        Ok((self.schema_version().await?, migrations::LATEST))
    }

    /// The time of the database server. `None`: the database is a file on this machine.
    pub async fn clock(&self) -> Result<Option<Timestamp>, DbError> {
        if let Self::Sqlite(_) = self {
            return Ok(None);
        }
        let row = self.one(CLOCK, values![]).await?;
        let text = row.map(|row| row.text("now")).transpose()?.unwrap_or_default();
        // An offset of whole hours has no minutes.
        let has_hours_only = text.as_bytes().iter().rev().nth(2).is_some_and(|sign| b"+-".contains(sign));
        Ok(Timestamp::parse(&if has_hours_only { format!("{text}:00") } else { text }))
    }

    /// How long callers wait for connections.
    pub fn waits(&self) -> &PoolWaits {
        match self {
            Self::Sqlite(file) => &file.waits.all,
            Self::Postgres(postgres) => &postgres.waits,
        }
    }

    /// No call to the database.
    pub fn pools(&self) -> Vec<PoolStatus> {
        match self {
            Self::Sqlite(file) => {
                let (in_use, open, max) = file.readers();
                let writing = usize::from(file.writer.is_in_use());
                vec![PoolStatus::new("read", in_use, open, max), PoolStatus::new("write", writing, 1, 1)]
            }
            Self::Postgres(postgres) => {
                let (pool, max) = (&postgres.pool, postgres.pool.options().get_max_connections());
                let open = pool.size() as usize;
                vec![PoolStatus::new("postgres", open.saturating_sub(pool.num_idle()), open, max as usize)]
            }
        }
    }

    /// The size of the write-ahead log in bytes. `None`: the database has no such file.
    pub async fn wal_bytes(&self) -> Result<Option<u64>, std::io::Error> {
        let Self::Sqlite(file) = self else { return Ok(None) };
        match tokio::fs::metadata(file.log_path()).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            // SQLite deletes it when the last connection is closed.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }
}
