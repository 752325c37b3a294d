//! The decision log: callers queue entries without waiting for the database, and a writer stores them in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Metric;
use super::store::{self, PendingEntry};
use crate::db::Db;
use crate::telemetry::{Metrics, note_biller, note_reference};
use signpost_core::reference::CodeKind;
use signpost_core::text::{keyed_hash, mask};
use signpost_core::{Clock, KeyRing, Random, ReferenceCode, Timestamp, UsernameInput};

/// Entries that wait to be written. Further ones are dropped and counted, so that memory stays bounded.
const QUEUE_CAPACITY: usize = 10_000;
const BATCH_SIZE: usize = 500;
/// How long an entry waits for others at most, so that a quiet instance does not commit each decision by itself.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// The pause before a failed batch is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Default)]
pub struct LogEntry {
    /// The biller's slug.
    pub biller: Option<String>,
    /// The username as typed.
    pub name: Option<UsernameInput>,
    /// The page or redirect that the customer got.
    pub response: &'static str,
    /// The usage counter to increase.
    pub metric: Option<Metric>,
    /// JSON: facts, rule and revision of a decision, or the cause of an error.
    pub details: String,
}

enum Message {
    Write(PendingEntry),
    Flush(oneshot::Sender<()>),
}

/// Entries of this instance that wait to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBacklog {
    pub entries: usize,
    pub oldest: Option<Timestamp>,
}

/// What the writer has taken from the queue and not written yet.
#[derive(Debug, Default)]
struct Pending {
    entries: AtomicUsize,
    /// In Unix milliseconds; 0: none.
    oldest: AtomicI64,
}

impl Pending {
    fn update(&self, pending: &[PendingEntry]) {
        self.entries.store(pending.len(), Ordering::Relaxed);
        self.oldest.store(pending.first().map_or(0, |entry| entry.at.millis()), Ordering::Relaxed);
    }
}

#[derive(Clone)]
pub struct DecisionLog {
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
    pending: Arc<Pending>,
    metrics: Arc<Metrics>,
    pub(super) db: Db,
    clock: Clock,
    random: Random,
    pub(super) code_key: [u8; 32],
    name_key: [u8; 32],
}

impl std::fmt::Debug for DecisionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DecisionLog")
    }
}

pub struct LogWriter {
    queue: mpsc::Receiver<Message>,
    dropped: Arc<AtomicU64>,
    pending: Arc<Pending>,
    metrics: Arc<Metrics>,
    db: Db,
    is_failing: bool,
}

impl DecisionLog {
    /// The caller must spawn [`LogWriter::run`].
    pub fn new(db: Db, keys: &KeyRing, clock: Clock, random: Random, metrics: Arc<Metrics>) -> (Self, LogWriter) {
        let (queue, received) = mpsc::channel(QUEUE_CAPACITY);
        let (dropped, pending) = (Arc::new(AtomicU64::new(0)), Arc::new(Pending::default()));
        let log = Self {
            queue,
            dropped: Arc::clone(&dropped),
            pending: Arc::clone(&pending),
            metrics: Arc::clone(&metrics),
            db: db.clone(),
            clock,
            random,
            code_key: code_key(keys),
            name_key: name_key(keys),
        };
        (log, LogWriter { queue: received, dropped, pending, metrics, db, is_failing: false })
    }

    /// The same log under another key ring.
    #[must_use]
    pub fn with_keys(&self, keys: &KeyRing) -> Self {
        Self { code_key: code_key(keys), name_key: name_key(keys), ..self.clone() }
    }

    /// A code for a page without a decision. Nothing is recorded.
    pub fn page_code(&self) -> ReferenceCode {
        let code = ReferenceCode::new(&self.code_key, CodeKind::Page, self.clock.now(), &self.random);
        note_reference(&code.to_string());
        code
    }

    /// Queues an entry and returns its code. Never waits: if the queue is full, the entry is dropped and counted.
    pub fn record(&self, kind: CodeKind, entry: LogEntry) -> ReferenceCode {
        let now = self.clock.now();
        let code = ReferenceCode::new(&self.code_key, kind, now, &self.random);
        note_reference(&code.to_string());
        if let Some(biller) = &entry.biller {
            note_biller(biller);
        }
        let stored = PendingEntry {
            code: code.to_string(),
            at: now,
            kind: match kind {
                CodeKind::Row(row) => format!("row {row}"),
                CodeKind::Page => "page".to_owned(),
                CodeKind::Error => "error".to_owned(),
            },
            biller: entry.biller,
            username_hash: entry.name.as_ref().map(|name| self.hash_of(name)),
            username_mask: entry.name.as_ref().map(|name| mask(name.raw())),
            response: entry.response.to_owned(),
            metric: entry.metric,
            details: entry.details,
        };
        if self.queue.try_send(Message::Write(stored)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.metrics.record_dropped_decisions(1);
        }
        code
    }

    /// What the log has in place of a username, whether or not a user has it.
    pub fn hash_of(&self, name: &UsernameInput) -> String {
        self.username_hash(name.username().map_or(name.raw(), |username| username.as_str()))
    }

    /// 96 bits tell usernames apart and keep the log small.
    fn username_hash(&self, username: &str) -> String {
        let mut hash = keyed_hash(&self.name_key, username.as_bytes());
        hash.truncate(16);
        hash
    }

    pub fn backlog(&self) -> LogBacklog {
        let queued = self.queue.max_capacity() - self.queue.capacity();
        let oldest = self.pending.oldest.load(Ordering::Relaxed);
        LogBacklog {
            entries: queued + self.pending.entries.load(Ordering::Relaxed),
            oldest: (oldest > 0).then(|| Timestamp::from_millis(oldest)),
        }
    }

    /// Waits until all entries so far are written.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }

    pub async fn sweep(&self, keep: Duration) -> Result<u64, crate::db::DbError> {
        store::sweep(&self.db, self.clock.now().minus(keep)).await
    }
}

/// Finds the record of a code. Call [`DecisionLog::flush`] first to include the newest entries of this process.
pub async fn find(db: &Db, code: &ReferenceCode, keys: &KeyRing) -> Result<store::LookupResult, crate::db::DbError> {
    store::find(db, code, &code_key(keys)).await
}

fn name_key(keys: &KeyRing) -> [u8; 32] {
    keys.derive_key("usernames in logs")
}

fn code_key(keys: &KeyRing) -> [u8; 32] {
    keys.derive_key("reference codes")
}

/// Why a batch is written now.
struct Batch {
    /// A caller waits for the write.
    flush_reply: Option<oneshot::Sender<()>>,
    /// No caller is left.
    closed: bool,
}

impl LogWriter {
    /// Runs until every [`DecisionLog`] is dropped, then writes the rest. While the database fails, entries stay queued.
    pub async fn run(mut self) {
        let mut pending: Vec<PendingEntry> = Vec::new();
        loop {
            let Batch { flush_reply, closed } = self.collect(&mut pending).await;
            self.pending.update(&pending);
            if !pending.is_empty() {
                self.write(&mut pending).await;
                self.pending.update(&pending);
            }
            if let Some(done) = flush_reply {
                let _ = done.send(());
            }
            if closed {
                return;
            }
        }
    }

    /// Waits for an entry, then collects others until the batch is full, its time is over, or a caller flushes.
    async fn collect(&mut self, pending: &mut Vec<PendingEntry>) -> Batch {
        let mut due = None;
        if !pending.is_empty() {
            // The last write failed. The batch may be full, but callers that flush must not wait until the database is back.
            due = Some(Instant::now() + FLUSH_INTERVAL);
            loop {
                match self.queue.try_recv() {
                    Ok(Message::Write(entry)) => pending.push(entry),
                    Ok(Message::Flush(done)) => return Batch { flush_reply: Some(done), closed: false },
                    Err(TryRecvError::Disconnected) => return Batch { flush_reply: None, closed: true },
                    Err(TryRecvError::Empty) => break,
                }
            }
        }
        while pending.len() < BATCH_SIZE {
            let message = match due {
                Some(due) => tokio::time::timeout_at(due, self.queue.recv()).await,
                None => Ok(self.queue.recv().await),
            };
            match message {
                Ok(Some(Message::Write(entry))) => pending.push(entry),
                Ok(Some(Message::Flush(done))) => return Batch { flush_reply: Some(done), closed: false },
                Ok(None) => return Batch { flush_reply: None, closed: true },
                Err(_) => break,
            }
            due.get_or_insert_with(|| Instant::now() + FLUSH_INTERVAL);
        }
        Batch { flush_reply: None, closed: false }
    }

    async fn write(&mut self, pending: &mut Vec<PendingEntry>) {
        if let Err(error) = store::insert(&self.db, pending).await {
            let excess = pending.len().saturating_sub(QUEUE_CAPACITY);
            pending.drain(..excess);
            self.dropped.fetch_add(excess as u64, Ordering::Relaxed);
            self.metrics.record_dropped_decisions(excess as u64);
            if !self.is_failing && !error.is_logged() {
                tracing::warn!(error = %error, pending = pending.len(), "decisions are not written now; they wait");
                self.is_failing = true;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        } else {
            if std::mem::take(&mut self.is_failing) {
                tracing::info!(written = pending.len(), "decisions are written again");
            }
            pending.clear();
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(dropped, "decisions were dropped because the queue was full");
            }
        }
    }
}
