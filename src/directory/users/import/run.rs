//! Checks the file, then writes it while another thread reads ahead.

use std::path::Path;

use super::check::{self, Checked};
use super::error::ImportError;
use super::file::{self, Reader};
use super::format::Format;
use super::leading_zeros;
use super::row::UserRow;
use super::types::{ImportContext, Options, Progress, ProgressSink, ROWS_PER_BATCH, SORT_WINDOW_ROWS, Summary};
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
        let (hash, format) = file::detect(path)?;
        let file_hash = format!("{hash}-{SORT_WINDOW_ROWS}");
        let mut checked = check::check(path, &format, options, progress)?;
        leading_zeros::check(&self.db, biller.id.as_str(), (path, &format), &mut checked.problems).await?;
        let Checked { rows, skipped_rows, problems } = checked;
        problems.into_result()?;
        let summary = Summary { format, rows, skipped_rows, created: 0, updated: 0, resumed_after: 0 };
        if options.dry_run {
            return Ok(summary);
        }
        self.db.set_bulk_mode(true).await?;
        let written = self.write_users((path, &file_hash), summary, biller, options, context, progress).await;
        self.db.set_bulk_mode(false).await?;
        written
    }

    async fn write_users(
        &self,
        (path, file_hash): (&Path, &str),
        mut summary: Summary,
        biller: &Biller,
        options: Options,
        context: ImportContext<'_>,
        progress: ProgressSink<'_>,
    ) -> Result<Summary, ImportError> {
        let (biller_id, now, rows) = (biller.id.as_str(), context.actor.now(), summary.rows);
        let mut tx = self.db.begin().await?;
        tx.run(BEGIN_RUN, values![biller_id, file_hash, now]).await?;
        let run = tx.one(RUN, values![biller_id, file_hash]).await?.ok_or(ImportError::AlreadyRunning)?;
        let done = run.int("rows_done")?;
        let event = AuditEvent::new(Action::UsersImported).at(&biller.slug).with("rows", rows).with("after_row", done);
        context.actor.record(&mut tx, event.with("legacy_accounts", options.legacy_accounts)).await?;
        tx.commit().await?;
        (summary.created, summary.updated, summary.resumed_after) = (run.int("created")?, run.int("updated")?, done);
        let mut writer = Writer { db: &self.db, biller_id, options, context, file_hash, done, now, open: None };
        let (sender, mut batches) = tokio::sync::mpsc::channel(SORT_WINDOW_ROWS / ROWS_PER_BATCH);
        let (from, format) = (path.to_owned(), summary.format.clone());
        let skip = usize::try_from(done).unwrap_or(0);
        let reading = tokio::task::spawn_blocking(move || read_batches(&from, &format, skip, &sender));
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
fn read_batches(
    path: &Path,
    format: &Format,
    done: usize,
    batches: &tokio::sync::mpsc::Sender<Vec<Record>>,
) -> Result<(), ImportError> {
    let mut reader = Reader::open(path, format)?;
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
