//! Users of one biller from a CSV file: the whole file is checked before anything is written, then it is written in
//! batches. Each batch is one transaction that moves the journal forward by compare-and-set, so that an interrupted
//! import goes on where it stopped, and two at once cannot both write.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{Biller, Directory, DirectoryError, UserStatus};
use crate::db::{DbError, Tx};
use crate::kernel::text::spread;
use crate::kernel::{Clock, Random, Timestamp, UserId, Username};
use crate::values;

/// Rows a transaction.
const BATCH: usize = 1000;
/// Errors told one by one; the rest are counted.
const ERRORS_SHOWN: usize = 100;

const BEGIN_RUN: &str = "INSERT INTO import_run (biller_id, file_hash, rows_done, created, updated, started_at) \
     VALUES ($1, $2, 0, 0, 0, $3) ON CONFLICT (biller_id, file_hash) DO UPDATE SET \
     rows_done = CASE WHEN import_run.ended_at IS NULL THEN import_run.rows_done ELSE 0 END, \
     created = CASE WHEN import_run.ended_at IS NULL THEN import_run.created ELSE 0 END, \
     updated = CASE WHEN import_run.ended_at IS NULL THEN import_run.updated ELSE 0 END, ended_at = NULL";
const RUN: &str = "SELECT rows_done, created, updated FROM import_run WHERE biller_id = $1 AND file_hash = $2";
const MOVE_ON: &str = "UPDATE import_run SET rows_done = $4 WHERE biller_id = $1 AND file_hash = $2 AND rows_done = $3";
const COUNT: &str = "UPDATE import_run SET created = $3, updated = $4 WHERE biller_id = $1 AND file_hash = $2";
const END_RUN: &str = "UPDATE import_run SET ended_at = $3 WHERE biller_id = $1 AND file_hash = $2";
const MEMBER: &str = "SELECT user_id FROM membership WHERE username_key = $1 AND biller_id = $2";
const SAME_PERSON: &str = "SELECT id FROM users WHERE username_key = $1 AND email_key = $2 AND status <> 'deleted' \
     ORDER BY id LIMIT 1";
const ADD_USER: &str = "INSERT INTO users (id, username, username_key, email, email_key, first_name, last_name, status, \
     created_at, updated_at, deleted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)";
const CHANGE_USER: &str = "UPDATE users SET username = $2, email = $3, email_key = $4, first_name = $5, last_name = $6, \
     status = $7, updated_at = $8, deleted_at = $9 WHERE id = $1";
const ELSEWHERE: &str = "SELECT biller_id FROM membership WHERE user_id = $1 AND biller_id <> $2 LIMIT 1";
const DROP_MEMBER: &str = "DELETE FROM membership WHERE user_id = $1 AND biller_id = $2";
const END_SESSIONS: &str = "UPDATE biller_session SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL";
const END_SESSIONS_HERE: &str =
    "UPDATE biller_session SET ended_at = $3 WHERE user_id = $1 AND biller_id = $2 AND ended_at IS NULL";
const ADD_MEMBER: &str = "INSERT INTO membership (username_key, biller_id, user_id, legacy_account, created_at) \
     VALUES ($1, $2, $3, $4, $5)";

/// A row of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRow {
    /// Username.
    pub username: String,
    /// Mail address; may be empty.
    pub email: String,
    /// First name; may be empty.
    #[serde(default)]
    pub first_name: String,
    /// Last name; may be empty.
    #[serde(default)]
    pub last_name: String,
    /// `created`, `active` (default), `suspended` or `deleted`.
    #[serde(default)]
    pub status: String,
}

/// How to import.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether these users have accounts in the legacy system.
    pub legacy_accounts: bool,
    /// Check only.
    pub dry_run: bool,
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
    /// Rows are wrong; nothing was written.
    #[error("{total} row(s) are wrong, nothing was written:\n{}", .shown.join("\n"))]
    Refused {
        /// How many.
        total: usize,
        /// The first of them, each with its line.
        shown: Vec<String>,
    },
    /// Another import of the same file into the same biller is running.
    #[error("another import of this file is running; this one stopped without harm")]
    Overtaken,
    /// The directory failed; run it again to go on where it stopped.
    #[error("{0}; run the same import again to go on where it stopped")]
    Directory(#[from] DirectoryError),
}

impl From<DbError> for ImportError {
    fn from(error: DbError) -> Self {
        Self::Directory(error.into())
    }
}

/// How far an import has come: bytes of the file while checking, rows while writing.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// `checking` or `writing`.
    pub phase: &'static str,
    /// So far.
    pub done: u64,
    /// In all.
    pub total: u64,
}

/// Told of progress now and then.
pub type Progress<'p> = &'p (dyn Fn(Step) + Sync);

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
        (clock, random): (&Clock, &Random),
        progress: Progress<'_>,
    ) -> Result<Summary, ImportError> {
        let file_hash = hash_file(path)?;
        let rows = check(path, progress)?;
        if options.dry_run {
            return Ok(Summary { rows, ..Summary::default() });
        }
        let (biller_id, now) = (biller.id.as_str(), clock.now());
        self.db.run(BEGIN_RUN, values![biller_id, &file_hash, now]).await?;
        let run = self.db.one(RUN, values![biller_id, &file_hash]).await?.ok_or(ImportError::Overtaken)?;
        let done = run.int(0)?;
        let mut summary = Summary { rows, created: run.int(1)?, updated: run.int(2)?, resumed_after: done };
        let mut writer = Writer { directory: self, biller, options, file_hash: &file_hash, done, now, random };
        let mut reader = open(path)?;
        let mut batch = Vec::with_capacity(BATCH);
        let mut skip = usize::try_from(done).unwrap_or(usize::MAX);
        for row in reader.deserialize::<UserRow>() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            batch.push(row.map_err(std::io::Error::other)?);
            if batch.len() == BATCH {
                writer.write(&mut batch, &mut summary).await?;
                progress(Step { phase: "writing", done: writer.done.unsigned_abs(), total: rows });
            }
        }
        writer.write(&mut batch, &mut summary).await?;
        self.db.run(END_RUN, values![biller_id, &file_hash, clock.now()]).await?;
        Ok(summary)
    }
}

struct Writer<'w> {
    directory: &'w Directory,
    biller: &'w Biller,
    options: Options,
    file_hash: &'w str,
    done: i64,
    now: Timestamp,
    random: &'w Random,
}

impl Writer<'_> {
    async fn write(&mut self, batch: &mut Vec<UserRow>, summary: &mut Summary) -> Result<(), ImportError> {
        if batch.is_empty() {
            return Ok(());
        }
        let biller_id = self.biller.id.as_str();
        let after = self.done + i64::try_from(batch.len()).unwrap_or(0);
        let mut tx = self.directory.db.begin().await?;
        if tx.run(MOVE_ON, values![biller_id, self.file_hash, self.done, after]).await? == 0 {
            return Err(ImportError::Overtaken);
        }
        for row in batch.drain(..) {
            if put(&mut tx, self, &row).await? { summary.created += 1 } else { summary.updated += 1 }
        }
        tx.run(COUNT, values![biller_id, self.file_hash, summary.created, summary.updated]).await?;
        tx.commit().await?;
        self.done = after;
        Ok(())
    }
}

/// Writes one row; answers whether it is new to the biller. The same username and mail address at another biller is
/// taken for the same person, whose record this biller's file does not change; and a person who is deleted here but belongs
/// elsewhere as well only stops belonging here.
async fn put(tx: &mut Tx, writer: &Writer<'_>, row: &UserRow) -> Result<bool, ImportError> {
    let key = Username::parse(&row.username).map_err(std::io::Error::other)?;
    let (key, biller_id, now) = (key.as_str(), writer.biller.id.as_str(), writer.now);
    let status = read_status(&row.status).unwrap_or(UserStatus::Active);
    let deleted_at = (status == UserStatus::Deleted).then_some(now);
    let email = row.email.trim();
    let email_key = email.to_lowercase();
    let (first, last) = (row.first_name.trim(), row.last_name.trim());
    let username = row.username.trim();
    if let Some(member) = tx.one(MEMBER, values![key, biller_id]).await? {
        let id = member.text(0)?;
        if status == UserStatus::Deleted && tx.one(ELSEWHERE, values![&id, biller_id]).await?.is_some() {
            tx.run(END_SESSIONS_HERE, values![&id, biller_id, now]).await?;
            tx.run(DROP_MEMBER, values![&id, biller_id]).await?;
            return Ok(false);
        }
        let change = values![&id, username, email, &email_key, first, last, status.as_str(), now, deleted_at];
        tx.run(CHANGE_USER, change).await?;
        if status != UserStatus::Active {
            tx.run(END_SESSIONS, values![&id, now]).await?;
        }
        return Ok(false);
    }
    let known = if email_key.is_empty() { None } else { tx.one(SAME_PERSON, values![key, &email_key]).await? };
    let id = match known {
        Some(_) if status == UserStatus::Deleted => return Ok(false),
        Some(known) => known.text(0)?,
        None => {
            let id = UserId::new(now, writer.random).to_string();
            let add = values![&id, username, key, email, &email_key, first, last, status.as_str(), now, deleted_at];
            tx.run(ADD_USER, add).await?;
            id
        }
    };
    tx.run(ADD_MEMBER, values![key, biller_id, &id, writer.options.legacy_accounts, now]).await?;
    Ok(true)
}

/// Reads the whole file once without writing anything.
fn check(path: &Path, progress: Progress<'_>) -> Result<u64, ImportError> {
    let size = std::fs::metadata(path)?.len();
    let mut reader = open(path)?;
    let (mut total, mut shown) = (0, Vec::new());
    let mut wrong = |line: u64, what: String| {
        total += 1;
        if total <= ERRORS_SHOWN {
            shown.push(format!("line {line}: {what}"));
        }
    };
    let headers = reader.headers().map_err(std::io::Error::other)?.clone();
    for needed in ["username", "email"] {
        if !headers.iter().any(|name| name == needed) {
            wrong(1, format!("the column {needed} is missing"));
        }
    }
    let mut seen = HashSet::new();
    let mut rows = 0;
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                rows += 1;
                let line = record.position().map_or(line, csv::Position::line);
                match record.deserialize::<UserRow>(Some(&headers)) {
                    Ok(row) => {
                        for problem in check_row(&row, &mut seen) {
                            wrong(line, problem);
                        }
                    }
                    Err(error) => wrong(line, error.to_string()),
                }
                if rows % 1000 == 0 {
                    progress(Step { phase: "checking", done: reader.position().byte(), total: size });
                }
            }
            Err(error) => {
                wrong(line, error.to_string());
                if error.is_io_error() {
                    break;
                }
            }
        }
    }
    if total > 0 {
        return Err(ImportError::Refused { total, shown });
    }
    Ok(rows)
}

fn check_row(row: &UserRow, seen: &mut HashSet<u64>) -> Vec<String> {
    let mut problems = Vec::new();
    match Username::parse(&row.username) {
        Ok(username) => {
            if !seen.insert(spread(username.as_str().as_bytes())) {
                problems.push("the username stands in the file twice".to_owned());
            }
        }
        Err(error) => problems.push(format!("username: {error}")),
    }
    let email = row.email.trim();
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | ',' | ';' | '"');
    let parts = email.split('@').collect::<Vec<_>>();
    let looks_right = email.len() <= 254
        && email.chars().all(plain)
        && matches!(parts[..], [l, d] if !l.is_empty() && d.contains('.'));
    if !email.is_empty() && !looks_right {
        problems.push("email: not a mail address".to_owned());
    }
    for (name, value) in [("first_name", &row.first_name), ("last_name", &row.last_name)] {
        if value.len() > 200 || value.chars().any(char::is_control) {
            problems.push(format!("{name}: at most 200 bytes, no control characters"));
        }
    }
    if read_status(&row.status).is_none() {
        problems.push(format!("status: {:?} is not one of created, active, suspended, deleted", row.status));
    }
    problems
}

fn read_status(text: &str) -> Option<UserStatus> {
    match text.trim() {
        "" => Some(UserStatus::Active),
        text => UserStatus::parse(text),
    }
}

fn open(path: &Path) -> Result<csv::Reader<std::fs::File>, ImportError> {
    Ok(csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(std::fs::File::open(path)?))
}

fn hash_file(path: &Path) -> Result<String, ImportError> {
    let mut file = std::fs::File::open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(URL_SAFE_NO_PAD.encode(context.finish())),
            count => context.update(&buffer[..count]),
        }
    }
}
