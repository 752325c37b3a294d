//! Checks the file, then writes it while another thread reads ahead.

use std::path::Path;

use super::check;
use super::file::{self, Reader};
use super::row::UserRow;
use super::types::{
    ImportContext, ImportError, Options, Progress, ProgressSink, ROWS_PER_BATCH, SORT_WINDOW_ROWS, Summary,
};
use super::write::{Record, Writer};
use crate::audit::{Action, AuditEvent};
use crate::db::Sql;
use crate::directory::{Biller, Directory};
use crate::{sql, values};

const BEGIN_RUN: Sql = sql!(
    "INSERT INTO import_run (biller_id, file_hash, rows_done, created, updated, started_at) \
     VALUES ($1, $2, 0, 0, 0, $3) ON CONFLICT (biller_id, file_hash) DO UPDATE SET \
     rows_done = CASE WHEN import_run.ended_at IS NULL THEN import_run.rows_done ELSE 0 END, \
     created = CASE WHEN import_run.ended_at IS NULL THEN import_run.created ELSE 0 END, \
     updated = CASE WHEN import_run.ended_at IS NULL THEN import_run.updated ELSE 0 END, ended_at = NULL"
);
const RUN: Sql = sql!("SELECT rows_done, created, updated FROM import_run WHERE biller_id = $1 AND file_hash = $2");
const END_RUN: Sql = sql!("UPDATE import_run SET ended_at = $3 WHERE biller_id = $1 AND file_hash = $2");

impl Directory {
    /// # Errors
    /// Nothing is written if the file is invalid. After another error the rows written so far stay, and the next import of the same
    /// file resumes there.
    pub async fn import_users(
        &self,
        path: &Path,
        biller: &Biller,
        options: Options,
        context: ImportContext<'_>,
        progress: ProgressSink<'_>,
    ) -> Result<Summary, ImportError> {
        // The window is part of the hash, because progress counts rows in the order of the window.
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
        let done = run.int("rows_done")?;
        let event = AuditEvent::new(Action::UsersImported).at(&biller.slug).with("rows", rows).with("after_row", done);
        context.actor.record(&mut tx, event.with("legacy_accounts", options.legacy_accounts)).await?;
        tx.commit().await?;
        let (created, updated) = (run.int("created")?, run.int("updated")?);
        let mut summary = Summary { rows, created, updated, resumed_after: done };
        let mut writer = Writer { db: &self.db, biller_id, options, context, file_hash, done, now, open: None };
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

/// Reads the file from row `done` on until the receiver is closed. Within a window, rows are sorted by username: rows that are
/// neighbours in the index share its pages.
fn read_batches(path: &Path, done: usize, batches: &tokio::sync::mpsc::Sender<Vec<Record>>) -> Result<(), ImportError> {
    let mut reader = Reader::open(path)?;
    let mut written = done % SORT_WINDOW_ROWS;
    reader.skip(done - written)?;
    loop {
        let mut window = Vec::new();
        while window.len() < SORT_WINDOW_ROWS
            && let Some((line, raw)) = reader.next()?
        {
            let row = UserRow::parse(raw)
                .map_err(|invalid| ImportError::Changed(format!("line {line}: {}", invalid.problems.join("; "))))?;
            window.push(Record::new(row));
        }
        if window.is_empty() {
            return Ok(());
        }
        window.sort_unstable_by(|a, b| a.row.key.cmp(&b.row.key));
        let mut left = window.into_iter().skip(std::mem::take(&mut written)).peekable();
        while left.peek().is_some() {
            if batches.blocking_send(left.by_ref().take(ROWS_PER_BATCH).collect()).is_err() {
                return Ok(());
            }
        }
    }
}
