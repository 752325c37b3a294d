//! The connection that writes to a SQLite file, and group commit.
//!
//! SQLite has one writer, and a commit waits for the disk. Shared transactions that wait for each other have one commit: the first
//! begins SQLite's transaction, the next ones are savepoints in it, and each returns when the shared commit is on the disk. So a
//! transaction may see what an earlier one of its group has written, and both are committed or neither is. A transaction
//! that no other waits behind commits by itself.
//!
//! A caller that rolls back and then reads would not find what made it roll back, as it is not committed yet. So transactions are
//! shared only where the caller asks for it; the others begin when the group before them is committed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::connection::{ACQUIRE_TIMEOUT, is_trusted};
use super::error::{DbError, classify, is_busy};
use super::file_identity::FileIdentity;

const RELEASE: &str = "RELEASE member";

/// Clones share one connection. Transactions get it in the order in which they ask for it.
#[derive(Clone)]
pub(super) struct Writer {
    options: Arc<SqliteConnectOptions>,
    identity: Arc<FileIdentity>,
    state: Arc<Mutex<State>>,
    /// Callers that wait for the connection.
    waiting: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    /// Opened when it is needed, and again after an error that it does not survive.
    connection: Option<SqliteConnection>,
    /// Transactions that wait for the shared commit. SQLite's transaction is open while there are any.
    group: Vec<oneshot::Sender<Result<(), DbError>>>,
    is_closed: bool,
}

/// The writing connection, for one caller at a time.
pub(super) struct Slot {
    state: OwnedMutexGuard<State>,
    writer: Writer,
}

/// An open transaction. Dropping it rolls it back.
pub(super) struct WriteTransaction {
    slot: Option<Slot>,
    /// It began SQLite's transaction. The others are savepoints.
    is_first: bool,
    /// Others may join it.
    is_shared: bool,
    /// It has left its savepoint, or is about to: it can no longer be rolled back alone.
    is_released: bool,
}

/// Counts a caller while it waits, also if it gives up.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteTransaction")
    }
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions, identity: Arc<FileIdentity>) -> Self {
        Self { options: Arc::new(options), identity, state: Arc::default(), waiting: Arc::default() }
    }

    /// Waits for the connection.
    pub(super) async fn acquire(&self) -> Result<Slot, DbError> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(&self.waiting));
        let state = tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.state).lock_owned()).await;
        drop(waiting);
        let mut state = state.map_err(|_| DbError::Failed(sqlx::Error::PoolTimedOut))?;
        self.identity.check().map_err(classify)?;
        state.connect(&self.options).await?;
        Ok(Slot { state, writer: self.clone() })
    }

    /// Waits for the connection while no group is open.
    pub(super) async fn acquire_alone(&self) -> Result<Slot, DbError> {
        let Slot { state, writer } = self.acquire().await?;
        let mut state = commit_apart(state).await?;
        state.connect(&self.options).await?;
        Ok(Slot { state, writer })
    }

    /// Closes the connection. Later calls fail.
    pub(super) async fn close(&self) {
        let Ok(mut state) = commit_apart(Arc::clone(&self.state).lock_owned().await).await else { return };
        state.is_closed = true;
        if let Some(connection) = state.connection.take() {
            // The file is consistent without the farewell.
            let _ = connection.close().await;
        }
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.state.try_lock().is_err()
    }

    fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Commits the group in a task of its own: if the caller goes away, the members still get their answer.
async fn commit_apart(mut state: OwnedMutexGuard<State>) -> Result<OwnedMutexGuard<State>, DbError> {
    if state.group.is_empty() {
        return Ok(state);
    }
    let committing = tokio::spawn(async move {
        state.commit_group().await;
        state
    });
    committing.await.map_err(|_| DbError::Failed(sqlx::Error::WorkerCrashed))
}

impl State {
    async fn connect(&mut self, options: &SqliteConnectOptions) -> Result<(), DbError> {
        if self.is_closed {
            return Err(DbError::Failed(sqlx::Error::PoolClosed));
        }
        if self.connection.is_none() {
            let mut connection = SqliteConnection::connect_with(options).await.map_err(classify)?;
            // Callers retry by themselves: SQLite polls at growing intervals and misses the short gaps of a busy writer.
            connection.execute("PRAGMA busy_timeout = 1").await.map_err(classify)?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        sqlx::query(statement).execute(connection).await.map(drop)
    }

    /// Commits the transactions that wait for it, unless another caller has done so.
    async fn commit_group(&mut self) {
        if self.group.is_empty() {
            return;
        }
        match self.execute("COMMIT").await {
            Ok(()) => {
                for member in self.group.drain(..) {
                    // A caller that has gone needs no answer.
                    let _ = member.send(Ok(()));
                }
            }
            Err(error) => self.discard(&error.to_string()),
        }
    }

    /// Closes the connection, which rolls back what is not committed.
    fn discard(&mut self, cause: &str) {
        self.connection = None;
        let cause: Arc<str> = cause.into();
        for member in self.group.drain(..) {
            let _ = member.send(Err(DbError::GroupFailed(Arc::clone(&cause))));
        }
    }
}

impl Slot {
    /// Whether a statement may commit by itself: no other caller waits for this connection or for a commit.
    pub(super) fn is_alone(&self) -> bool {
        self.state.group.is_empty() && !self.writer.is_awaited()
    }

    pub(super) fn executor(&mut self) -> Result<&mut SqliteConnection, DbError> {
        self.state.connection.as_mut().ok_or(DbError::Failed(sqlx::Error::WorkerCrashed))
    }

    /// Classifies the result of a statement. The connection is closed after an error that leaves its state unknown. A busy
    /// SQLite file is no such error: the statement has done nothing.
    pub(super) fn check<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, DbError> {
        result.map_err(|error| {
            let is_trusted = is_trusted(&error);
            let error = classify(error);
            if !is_trusted && !is_busy(&error) {
                self.state.discard(&error.to_string());
            }
            error
        })
    }

    /// Begins a transaction, or joins the group. Others may join it if it is shared.
    pub(super) async fn begin(self, is_shared: bool) -> Result<WriteTransaction, DbError> {
        let is_first = self.state.group.is_empty();
        // From here on a cancelled caller rolls back.
        let mut tx = WriteTransaction { slot: Some(self), is_first, is_shared, is_released: false };
        let statement = if is_first { "BEGIN IMMEDIATE" } else { "SAVEPOINT member" };
        let begun = tx.connection()?.state.execute(statement).await;
        let Err(error) = begun else { return Ok(tx) };
        let cause = error.to_string();
        let error = classify(error);
        if let Some(mut slot) = tx.slot.take()
            && !is_busy(&error)
        {
            // Either statement is right: after any other error the connection is in a state that it must not be in.
            slot.state.discard(&cause);
        }
        Err(error)
    }

    /// Waits for the shared commit, which follows when all who are waiting now have joined the group.
    async fn wait_for_group(mut self, is_first: bool) -> Result<(), DbError> {
        let (sender, committed) = oneshot::channel();
        self.state.group.push(sender);
        let Self { state, writer } = self;
        drop(state);
        if is_first {
            // The group needs its commit even if this caller goes away.
            tokio::spawn(async move { writer.state.lock().await.commit_group().await });
        }
        committed.await.unwrap_or(Err(DbError::Failed(sqlx::Error::WorkerCrashed)))
    }

    /// Whether a transaction is open that others have left to the shared commit. A statement can join it without a savepoint:
    /// if it fails, SQLite undoes that statement alone.
    pub(super) fn has_group(&self) -> bool {
        !self.state.group.is_empty()
    }

    /// Waits for the shared commit after a statement in the open transaction.
    pub(super) async fn commit_with_group(self) -> Result<(), DbError> {
        self.wait_for_group(false).await
    }

    /// After any error the connection is closed: it may still be in the transaction.
    fn check_commit(&mut self, done: Result<(), sqlx::Error>) -> Result<(), DbError> {
        done.map_err(|error| {
            self.state.discard(&error.to_string());
            classify(error)
        })
    }
}

impl WriteTransaction {
    /// The connection, to run a statement of the transaction.
    pub(super) fn connection(&mut self) -> Result<&mut Slot, DbError> {
        self.slot.as_mut().ok_or(DbError::Failed(sqlx::Error::WorkerCrashed))
    }

    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        // A lost transaction has nothing to commit, and must not join the group of another connection.
        self.connection()?.executor()?;
        let is_first = self.is_first;
        if !is_first {
            self.is_released = true;
            let slot = self.connection()?;
            let released = slot.state.execute(RELEASE).await;
            slot.check_commit(released)?;
        } else if !self.is_shared || !self.connection()?.writer.is_awaited() {
            let slot = self.connection()?;
            let done = slot.state.execute("COMMIT").await;
            slot.check_commit(done)?;
            self.slot = None;
            return Ok(());
        }
        match self.slot.take() {
            Some(slot) => slot.wait_for_group(is_first).await,
            None => Ok(()),
        }
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        let Some(mut slot) = self.slot.take() else { return };
        if slot.state.connection.is_none() {
            return;
        }
        let (is_first, is_released) = (self.is_first, self.is_released);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return slot.state.discard("the process ends");
        };
        runtime.spawn(async move {
            let done = match (is_first, is_released) {
                (true, _) => slot.state.execute("ROLLBACK").await,
                (false, false) => slot.state.execute("ROLLBACK TO member; RELEASE member").await,
                // The caller went away meanwhile. The savepoint may be released already; the group commits it.
                (false, true) => slot.state.execute(RELEASE).await.or(Ok(())),
            };
            if let Err(error) = done {
                slot.state.discard(&error.to_string());
            }
        });
    }
}
