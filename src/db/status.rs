//! What operators see of the database: schema, connections and the write-ahead log.

use std::io::ErrorKind;
use std::path::PathBuf;

use sqlx::{Database, Pool};

use super::error::DbError;
use super::handle::Db;
use super::migrations;
use crate::telemetry::metrics::PoolWaits;

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
    fn of<D: Database>(name: &'static str, pool: &Pool<D>) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Self { name, in_use: pool.size().saturating_sub(idle), idle, max: pool.options().get_max_connections() }
    }
}

impl Db {
    /// The schema of the database and the one of this program, read anew.
    pub async fn schema_versions(&self) -> Result<(i64, i64), DbError> {
        Ok((self.schema_version().await?, migrations::LATEST))
    }

    /// How long callers wait for connections.
    pub fn waits(&self) -> &PoolWaits {
        match self {
            Self::Sqlite { waits, .. } => &waits.all,
            Self::Postgres(postgres) => &postgres.waits,
        }
    }

    /// No call to the database.
    pub fn pools(&self) -> Vec<PoolStatus> {
        match self {
            Self::Sqlite { read, write, .. } => vec![PoolStatus::of("read", read), PoolStatus::of("write", write)],
            Self::Postgres(postgres) => vec![PoolStatus::of("postgres", &postgres.pool)],
        }
    }

    /// The size of the write-ahead log in bytes. `None`: the database has no such file.
    pub async fn wal_bytes(&self) -> Result<Option<u64>, std::io::Error> {
        let Self::Sqlite { write, .. } = self else { return Ok(None) };
        let options = write.connect_options();
        let mut file = options.get_filename().as_os_str().to_owned();
        file.push("-wal");
        match tokio::fs::metadata(PathBuf::from(file)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            // SQLite deletes it when the last connection is closed.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }
}
