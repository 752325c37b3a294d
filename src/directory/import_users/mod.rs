//! Users of one biller from a file: the whole file is checked before anything is written, then it is written in batches.
//! Each transaction moves the journal forward by compare-and-set, so that an interrupted import goes on where it stopped, and
//! two at once cannot both write; it ends early when somebody else waits for the database.

mod check;
mod file;
mod passwords;
mod write;

pub use check::is_mail_address;

use std::path::Path;

use super::{Biller, Directory, DirectoryError};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::DbError;
use crate::values;
use signpost_core::KeyRing;

/// Rows written at once: few enough that whoever waits for the database does not wait long.
const ROWS_PER_BATCH: usize = 500;
/// Batches a transaction, if nobody waits for the database.
const BATCHES_PER_TRANSACTION: usize = 16;
/// Rows that are sorted together.
const SORT_WINDOW_ROWS: usize = 64_000;

const BEGIN_RUN: &str = "INSERT INTO import_run (biller_id, file_hash, rows_done, created, updated, started_at) \
     VALUES ($1, $2, 0, 0, 0, $3) ON CONFLICT (biller_id, file_hash) DO UPDATE SET \
     rows_done = CASE WHEN import_run.ended_at IS NULL THEN import_run.rows_done ELSE 0 END, \
     created = CASE WHEN import_run.ended_at IS NULL THEN import_run.created ELSE 0 END, \
     updated = CASE WHEN import_run.ended_at IS NULL THEN import_run.updated ELSE 0 END, ended_at = NULL";
const RUN: &str = "SELECT rows_done, created, updated FROM import_run WHERE biller_id = $1 AND file_hash = $2";
const END_RUN: &str = "UPDATE import_run SET ended_at = $3 WHERE biller_id = $1 AND file_hash = $2";

/// How to import.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether these users have accounts in the legacy system.
    pub legacy_accounts: bool,
    /// Check only.
    pub dry_run: bool,
    /// Refuse files with passwords in clear instead of hashing them.
    pub refuse_plain_passwords: bool,
}

/// What an import needs.
#[derive(Clone, Copy, Debug)]
pub struct ImportContext<'a> {
    /// Who asks.
    pub actor: &'a ActorContext,
    /// Seals password hashes.
    pub keys: &'a KeyRing,
}

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows in the file.
    pub rows: u64,
    /// Users or memberships that are new.
    pub created: i64,
    /// Users that were known.
    pub updated: i64,
    /// Rows that an interrupted import of the same file had written before.
    pub resumed_after: i64,
}

/// Why a file of users was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The file's first line does not name the columns as it should; nothing was written.
    #[error("nothing was written: {0}")]
    Header(String),
    /// Rows are wrong; nothing was written.
    #[error("{rows} row(s) are wrong, nothing was written:\n{}{}", .messages.join("\n"), more(*.problems, .messages.len()))]
    Invalid {
        /// How many rows.
        rows: usize,
        /// How many things are wrong with them.
        problems: usize,
        /// The first of these, each with its line.
        messages: Vec<String>,
    },
    /// Another import of the same file into the same biller is running.
    #[error("another import of this file is running; this one stopped without harm")]
    AlreadyRunning,
    /// The directory failed; run it again to go on where it stopped.
    #[error("{0}; run the same import again to go on where it stopped")]
    Directory(#[from] DirectoryError),
}

fn more(problems: usize, messages: usize) -> String {
    if problems > messages { format!("\n… and {} more", problems - messages) } else { String::new() }
}

impl From<DbError> for ImportError {
    fn from(error: DbError) -> Self {
        Self::Directory(error.into())
    }
}

/// How far an import has come: bytes of the file while checking, rows while writing.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// `checking` or `writing`.
    pub phase: &'static str,
    /// So far.
    pub done: u64,
    /// In all.
    pub total: u64,
}

/// Told of progress now and then.
pub type ProgressSink<'p> = &'p (dyn Fn(Progress) + Sync);

impl Directory {
    /// Imports a file into a biller.
    ///
    /// # Errors
    /// The file or rows of it are wrong (nothing is written), or the database failed (what was written stays, and the
    /// next run of the same file goes on from there).
    pub async fn import_users(
        &self,
        path: &Path,
        biller: &Biller,
        options: Options,
        context: ImportContext<'_>,
        progress: ProgressSink<'_>,
    ) -> Result<Summary, ImportError> {
        // Rows are counted in the order of a window: another window is another count.
        let file_hash = format!("{}-{SORT_WINDOW_ROWS}", file::hash(path)?);
        let rows = check::check(path, options, progress)?;
        if options.dry_run {
            return Ok(Summary { rows, ..Summary::default() });
        }
        self.db.set_bulk_mode(true).await?;
        let written = self.write_users((path, &file_hash), rows, biller, options, context, progress).await;
        self.db.set_bulk_mode(false).await?;
        written
    }

    async fn write_users(
        &self,
        (path, file_hash): (&Path, &str),
        rows: u64,
        biller: &Biller,
        options: Options,
        context: ImportContext<'_>,
        progress: ProgressSink<'_>,
    ) -> Result<Summary, ImportError> {
        let (biller_id, now) = (biller.id.as_str(), context.actor.now());
        let mut tx = self.db.begin().await?;
        tx.run(BEGIN_RUN, values![biller_id, file_hash, now]).await?;
        let run = tx.one(RUN, values![biller_id, file_hash]).await?.ok_or(ImportError::AlreadyRunning)?;
        let done = run.int(0)?;
        let event = AuditEvent::new(Action::UsersImported).at(&biller.slug).with("rows", rows).with("after_row", done);
        context.actor.record(&mut tx, event.with("legacy_accounts", options.legacy_accounts)).await?;
        tx.commit().await?;
        let mut summary = Summary { rows, created: run.int(1)?, updated: run.int(2)?, resumed_after: done };
        let mut writer = write::Writer { db: &self.db, biller_id, options, context, file_hash, done, now, open: None };
        // Read ahead by a thread of its own: the next window while this one is written.
        let (sender, mut batches) = tokio::sync::mpsc::channel(SORT_WINDOW_ROWS / ROWS_PER_BATCH);
        let from = path.to_owned();
        let reading =
            tokio::task::spawn_blocking(move || read_batches(&from, usize::try_from(done).unwrap_or(0), &sender));
        loop {
            if batches.is_empty() {
                writer.commit().await?;
            }
            let Some(batch) = batches.recv().await else { break };
            writer.write(batch, &mut summary).await?;
            progress(Progress { phase: "writing", done: writer.done.unsigned_abs(), total: rows });
        }
        reading.await.map_err(std::io::Error::other)??;
        self.db.run(END_RUN, values![biller_id, file_hash, context.actor.now()]).await?;
        Ok(summary)
    }
}

/// Reads a file from a row on, batch by batch, until nobody takes them any more. Rows are written in the order of the index
/// they go into, as far as a window reaches: neighbours share pages.
fn read_batches(
    path: &Path,
    done: usize,
    batches: &tokio::sync::mpsc::Sender<Vec<write::Record>>,
) -> Result<(), ImportError> {
    let mut reader = file::Reader::open(path)?;
    let mut written = done % SORT_WINDOW_ROWS;
    reader.skip(done - written)?;
    loop {
        let mut window = Vec::new();
        while window.len() < SORT_WINDOW_ROWS
            && let Some((_, row)) = reader.next()?
        {
            window.push(write::Record::new(row)?);
        }
        if window.is_empty() {
            return Ok(());
        }
        window.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let mut left = window.into_iter().skip(std::mem::take(&mut written)).peekable();
        while left.peek().is_some() {
            if batches.blocking_send(left.by_ref().take(ROWS_PER_BATCH).collect()).is_err() {
                return Ok(());
            }
        }
    }
}
