//! The connections to a SQLite file. No connection is tested by a statement before or after its use: one that met an error that
//! it does not survive is closed, and a file that went away is noticed (see `file_identity`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor, Row, Sqlite};

use super::connection::{ACQUIRE_TIMEOUT, Checked, Driver};
use super::error::{DbError, classify};
use super::file_identity::FileIdentity;
use super::group_commit::Writer;
use super::write_health::WriteHealth;
use super::writer_queue::WriterQueue;
use crate::telemetry::metrics::{PoolWait, PoolWaits};

/// How long a command that needs a database for itself waits for processes that are about to end.
pub(super) const IN_USE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct SqliteFile {
    readers: managed::Pool<Connector>,
    pub(super) writer: Writer,
    pub(super) writer_queue: WriterQueue,
    pub(super) waits: SqliteWaits,
    pub(super) write_health: WriteHealth,
    path: PathBuf,
}

/// How long callers wait for connections.
#[derive(Clone, Debug)]
pub(super) struct SqliteWaits {
    pub(super) all: PoolWaits,
    read: PoolWait,
    pub(super) write: PoolWait,
}

impl SqliteWaits {
    fn new() -> Self {
        let all = PoolWaits::default();
        Self { read: all.of("read"), write: all.of("write"), all }
    }
}

#[derive(Debug)]
pub(super) struct Connector {
    options: SqliteConnectOptions,
    identity: Arc<FileIdentity>,
}

#[derive(Debug)]
pub(super) struct Reader {
    connection: SqliteConnection,
    is_broken: bool,
}

impl managed::Manager for Connector {
    type Type = Reader;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Reader, sqlx::Error> {
        self.identity.check()?;
        Ok(Reader { connection: SqliteConnection::connect_with(&self.options).await?, is_broken: false })
    }

    async fn recycle(&self, reader: &mut Reader, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if reader.is_broken { Err(RecycleError::message("the connection met an error")) } else { Ok(()) }
    }
}

impl SqliteFile {
    /// Opens the connection that writes, so that an error shows at once. Those that read are opened when they are needed.
    pub(super) async fn open(options: &SqliteConnectOptions, readers: u32) -> Result<Self, DbError> {
        let identity = Arc::new(FileIdentity::new(options.get_filename()));
        // Pages of 4 KiB: the log grows to 8 MiB before SQLite copies it into the database file.
        let writer = Writer::new(options.clone().pragma("wal_autocheckpoint", "2048"), Arc::clone(&identity));
        drop(writer.acquire().await?);
        identity.record()?;
        let timeouts = Timeouts { wait: Some(ACQUIRE_TIMEOUT), create: Some(ACQUIRE_TIMEOUT), recycle: None };
        let readers = managed::Pool::builder(Connector { options: options.clone().read_only(true), identity })
            .max_size(readers as usize)
            .queue_mode(QueueMode::Lifo)
            .timeouts(timeouts)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| DbError::Failed(sqlx::Error::Configuration(error.into())))?;
        let path = options.get_filename();
        let writer_queue = WriterQueue::for_database(path);
        Ok(Self {
            readers,
            writer,
            writer_queue,
            waits: SqliteWaits::new(),
            write_health: WriteHealth::default(),
            path: path.to_owned(),
        })
    }

    /// Waits for a connection that reads.
    pub(super) async fn reader(&self) -> Result<Checked<Sqlite>, DbError> {
        let reader = self.waits.read.measure(self.readers.get()).await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => sqlx::Error::PoolClosed,
            _ => sqlx::Error::PoolTimedOut,
        });
        reader.map(Checked::new).map_err(classify)
    }

    /// Connections that read: those in use, those open, and the most there can be.
    pub(super) fn readers(&self) -> (usize, usize, usize) {
        let status = self.readers.status();
        (status.size.saturating_sub(status.available), status.size, status.max_size)
    }

    /// The file of the write-ahead log.
    pub(super) fn log_path(&self) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push("-wal");
        path.into()
    }

    /// Waits until statements have finished and closes all connections. The last one copies the log into the file.
    pub(super) async fn close(&self) {
        let mut readers = Vec::new();
        while readers.len() < self.readers.status().size {
            let Ok(reader) = self.readers.get().await else { break };
            readers.push(reader);
        }
        self.readers.close();
        for reader in readers {
            // The file is consistent without the farewell.
            let _ = Object::take(reader).connection.close().await;
        }
        self.writer.close().await;
    }
}

/// Writes the log into the database file and locks it, which is possible only while no other process has it open. `None`: one
/// has.
pub(super) async fn lock_file(options: SqliteConnectOptions) -> Result<Option<SqliteConnection>, sqlx::Error> {
    let options = options.create_if_missing(false).busy_timeout(IN_USE_TIMEOUT);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let is_alone = match connection.fetch_one("PRAGMA journal_mode = DELETE").await {
        Ok(row) => row.try_get::<String, _>(0)? == "delete",
        Err(_) => false,
    };
    if !is_alone {
        return Ok(None);
    }
    connection.execute("BEGIN EXCLUSIVE").await?;
    Ok(Some(connection))
}

impl Driver for Sqlite {
    type Loan = Object<Connector>;

    fn connection(loan: &mut Self::Loan) -> &mut SqliteConnection {
        &mut loan.connection
    }

    fn discard(loan: &mut Self::Loan) {
        loan.is_broken = true;
    }
}
