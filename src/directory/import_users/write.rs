//! Writing rows, a batch a transaction, a few statements a batch.

use std::collections::HashMap;

use secrecy::SecretString;
use serde_json::json;

use super::check::{read_status, roles};
use super::file::UserRow;
use super::{BATCHES_PER_TRANSACTION, ImportContext, ImportError, Options, Summary, passwords};
use crate::db::{BulkInsert, Db, DbError, ROWS_PER_STATEMENT, Tx, Value};
use crate::directory::{UserStatus, outbox};
use crate::values;
use signpost_core::{Purpose, Timestamp, UserId, Username};

const ADVANCE: &str = "UPDATE import_run SET rows_done = $4 WHERE biller_id = $1 AND file_hash = $2 AND rows_done = $3";
const SAVE_COUNTS: &str = "UPDATE import_run SET created = $3, updated = $4 WHERE biller_id = $1 AND file_hash = $2";
const FIND_BY_USERNAME: &str = "SELECT m.username_key, u.email_key, u.id, m.biller_id, u.status FROM membership m \
     JOIN users u ON u.id = m.user_id WHERE (m.biller_id = $1 OR u.email_key <> '') AND m.username_key IN";
const INSERT_USERS: &str = "INSERT INTO users (id, username, username_key, email, email_key, first_name, last_name, status, \
     attributes, created_at, updated_at, deleted_at) VALUES";
const ON_USER_CONFLICT: &str = "ON CONFLICT (id) DO UPDATE SET username = excluded.username, email = excluded.email, \
     email_key = excluded.email_key, first_name = excluded.first_name, last_name = excluded.last_name, \
     status = excluded.status, attributes = excluded.attributes, updated_at = excluded.updated_at, \
     deleted_at = excluded.deleted_at";
const INSERT_MEMBERSHIPS: &str =
    "INSERT INTO membership (username_key, biller_id, user_id, legacy_account, created_at) VALUES";
const INSERT_PASSWORDS: &str = "INSERT INTO user_password (user_id, sealed, set_at) VALUES";
const ON_PASSWORD_CONFLICT: &str =
    "ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at";
const OTHER_MEMBERSHIP: &str = "SELECT m.biller_id FROM membership m JOIN biller b ON b.id = m.biller_id \
     WHERE m.user_id = $1 AND m.biller_id <> $2 LIMIT 1";
const DELETE_MEMBERSHIP: &str = "DELETE FROM membership WHERE user_id = $1 AND biller_id = $2";
const END_SESSIONS: &str = "UPDATE biller_session SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL";
const END_BILLER_SESSIONS: &str =
    "UPDATE biller_session SET ended_at = $3 WHERE user_id = $1 AND biller_id = $2 AND ended_at IS NULL";

pub(super) struct Writer<'w> {
    pub db: &'w Db,
    pub biller_id: &'w str,
    pub options: Options,
    pub context: ImportContext<'w>,
    pub file_hash: &'w str,
    /// Rows written.
    pub done: i64,
    pub now: Timestamp,
    /// The transaction under way, and how many batches are in it.
    pub open: Option<(Tx, usize)>,
}

/// A row made ready to be written.
pub(super) struct Record {
    /// What the row is found by.
    pub key: Username,
    email_key: String,
    status: UserStatus,
    attributes: String,
    /// Nothing is left to be written.
    is_written: bool,
    row: UserRow,
}

impl Record {
    /// Of a row that was checked.
    pub(super) fn new(row: UserRow) -> Result<Self, std::io::Error> {
        let attributes = match roles(&row.roles) {
            Some(roles) if !roles.is_empty() => json!({ "roles": roles }).to_string(),
            _ => "{}".to_owned(),
        };
        Ok(Self {
            key: Username::parse(&row.username).map_err(std::io::Error::other)?,
            email_key: row.email.to_lowercase(),
            status: read_status(&row.status).unwrap_or(UserStatus::Active),
            attributes,
            is_written: false,
            row,
        })
    }
}

/// User ids by username and mail address.
type KnownUsers = HashMap<(String, String), String>;

/// What three statements write.
#[derive(Default)]
struct Batch {
    users: Vec<Vec<Value>>,
    members: Vec<Vec<Value>>,
    passwords: Vec<Vec<Value>>,
}

impl Writer<'_> {
    /// Writes the records and moves the journal on, in the transaction that is under way or a new one.
    pub(super) async fn write(&mut self, mut records: Vec<Record>, summary: &mut Summary) -> Result<(), ImportError> {
        if records.iter().any(|record| record.row.password.is_some()) {
            // Hashing takes its time: nobody must wait for the database meanwhile.
            self.commit().await?;
        }
        let hashes = self.hashes(&mut records).await?;
        let (mut tx, batches) = match self.open.take() {
            Some(open) => open,
            None => (self.db.begin().await?, 0),
        };
        let after = self.done + i64::try_from(records.len()).unwrap_or(0);
        let row = values![self.biller_id, self.file_hash, self.done, after];
        if tx.run(ADVANCE, row).await? == 0 {
            return Err(ImportError::AlreadyRunning);
        }
        let (members, known) = {
            let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
            self.find_by_username(&mut tx, &keys).await?
        };
        self.end_sessions_and_memberships(&mut tx, &mut records, &members).await?;
        // New users of a legacy biller concern nobody else.
        let is_migrated = outbox::is_migrated(&mut tx, self.biller_id).await?;
        let concerns =
            records.iter().map(|record| record.key.as_str()).filter(|key| is_migrated || members.contains_key(*key));
        let names: Vec<String> = concerns.map(str::to_owned).collect();
        let mut left = records.into_iter().zip(hashes).peekable();
        let mut ready = Vec::new();
        while left.peek().is_some() || !ready.is_empty() {
            // The next rows are made ready while the database takes these.
            let part = left.by_ref().take(ROWS_PER_STATEMENT);
            let next = async { self.prepare(part, (&members, &known), summary) };
            let (taken, next) = tokio::join!(execute(&mut tx, ready), next);
            taken?;
            ready = next?;
        }
        outbox::enqueue_written(self.db, &mut tx, &names, (self.now, self.context.actor.random())).await?;
        tx.run(SAVE_COUNTS, values![self.biller_id, self.file_hash, summary.created, summary.updated]).await?;
        self.done = after;
        self.open = Some((tx, batches + 1));
        if batches + 1 == BATCHES_PER_TRANSACTION || self.db.has_waiting_writers() {
            self.commit().await?;
        }
        Ok(())
    }

    /// Makes what was written last, and lets others write who wait for it.
    pub(super) async fn commit(&mut self) -> Result<(), ImportError> {
        if let Some((tx, _)) = self.open.take() {
            tx.commit().await?;
            self.db.yield_to_waiters().await;
        }
        Ok(())
    }

    /// The password hash of each row, if it has one.
    async fn hashes(&self, records: &mut [Record]) -> Result<Vec<Option<String>>, ImportError> {
        let given = |record: &mut Record| std::mem::take(&mut record.row.password_hash);
        let mut hashes: Vec<Option<String>> =
            records.iter_mut().map(given).map(|hash| (!hash.is_empty()).then_some(hash)).collect();
        let plain = records.iter_mut().enumerate();
        let plain = plain.filter_map(|(at, record)| record.row.password.take().map(|password| (at, password)));
        let plain: Vec<(usize, SecretString)> = plain.collect();
        if plain.is_empty() {
            return Ok(hashes);
        }
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut running = Vec::new();
        for part in plain.chunks(plain.len().div_ceil(workers)) {
            let (part, random) = (part.to_vec(), self.context.actor.random().clone());
            running.push(tokio::task::spawn_blocking(move || {
                part.iter().map(|(at, password)| Ok((*at, passwords::hash(password, &random)?))).collect()
            }));
        }
        for worker in running {
            let part: Result<Vec<(usize, String)>, std::io::Error> = worker.await.map_err(std::io::Error::other)?;
            for (at, hash) in part? {
                hashes[at] = Some(hash);
            }
        }
        Ok(hashes)
    }

    /// Who belongs to the biller already, by name; and who of any biller has these names, by name and mail address, the oldest
    /// record first.
    async fn find_by_username(
        &self,
        tx: &mut Tx,
        keys: &[&str],
    ) -> Result<(HashMap<String, String>, KnownUsers), DbError> {
        let (mut members, mut known) = (HashMap::new(), KnownUsers::new());
        for row in tx.all_in(FIND_BY_USERNAME, self.biller_id.into(), keys).await? {
            let (name, mail, id) = (row.text(0)?, row.text(1)?, row.text(2)?);
            if row.text(3)? == self.biller_id {
                members.insert(name.clone(), id.clone());
            }
            if mail.is_empty() || row.text(4)? == UserStatus::Deleted.as_str() {
                continue;
            }
            let oldest = known.entry((name, mail)).or_insert_with(|| id.clone());
            if id < *oldest {
                *oldest = id;
            }
        }
        Ok((members, known))
    }

    /// Ends the sessions of members who are no longer active. A person who is deleted here but belongs elsewhere as well only
    /// stops belonging here.
    async fn end_sessions_and_memberships(
        &self,
        tx: &mut Tx,
        records: &mut [Record],
        members: &HashMap<String, String>,
    ) -> Result<(), ImportError> {
        let now = self.now;
        for record in records.iter_mut().filter(|record| record.status != UserStatus::Active) {
            let Some(id) = members.get(record.key.as_str()) else { continue };
            let is_deleted = record.status == UserStatus::Deleted;
            if is_deleted && tx.one(OTHER_MEMBERSHIP, values![id, self.biller_id]).await?.is_some() {
                tx.run(END_BILLER_SESSIONS, values![id, self.biller_id, now]).await?;
                tx.run(DELETE_MEMBERSHIP, values![id, self.biller_id]).await?;
                outbox::enqueue_member(tx, (self.biller_id, id), now, self.context.actor.random()).await?;
                record.is_written = true;
            } else {
                tx.run(END_SESSIONS, values![id, now]).await?;
            }
        }
        Ok(())
    }

    /// Makes rows of records. The same username and mail address at another biller is taken for the same person, whose record
    /// this biller's file does not change.
    fn prepare(
        &self,
        records: impl Iterator<Item = (Record, Option<String>)>,
        (members, known): (&HashMap<String, String>, &KnownUsers),
        summary: &mut Summary,
    ) -> Result<Vec<BulkInsert>, DbError> {
        let mut batch = Batch::default();
        for (record, hash) in records {
            if let Some(id) = members.get(record.key.as_str()) {
                summary.updated += 1;
                if !record.is_written {
                    self.add_record(&mut batch, record, hash, id);
                }
                continue;
            }
            let name = (record.key.as_str().to_owned(), record.email_key.clone());
            let found = if known.is_empty() { None } else { known.get(&name) };
            let id = match found {
                Some(_) if record.status == UserStatus::Deleted => {
                    summary.updated += 1;
                    continue;
                }
                Some(known) => known.clone(),
                None => {
                    // By the present moment: ids that grow land side by side in their indexes.
                    let id = UserId::new(self.context.actor.now(), self.context.actor.random()).to_string();
                    self.add_record(&mut batch, record, hash, &id);
                    id
                }
            };
            summary.created += 1;
            batch.members.push(values![name.0, self.biller_id, id, self.options.legacy_accounts, self.now]);
        }
        let statements = [
            self.db.bulk_insert(INSERT_USERS, batch.users, ON_USER_CONFLICT)?,
            self.db.bulk_insert(INSERT_MEMBERSHIPS, batch.members, "")?,
            self.db.bulk_insert(INSERT_PASSWORDS, batch.passwords, ON_PASSWORD_CONFLICT)?,
        ];
        Ok(statements.into_iter().flatten().collect())
    }

    fn add_record(&self, batch: &mut Batch, record: Record, hash: Option<String>, id: &str) {
        let now = self.now;
        let Record { key, email_key, status, attributes, row, .. } = record;
        let deleted_at = (status == UserStatus::Deleted).then_some(now);
        batch.users.push(values![
            id,
            row.username,
            key.as_str(),
            row.email,
            email_key,
            row.first_name,
            row.last_name,
            status.as_str(),
            attributes,
            now,
            now,
            deleted_at
        ]);
        if let Some(hash) = hash {
            batch.passwords.push(values![id, self.context.keys.seal(Purpose::Storage, id, &hash), now]);
        }
    }
}

async fn execute(tx: &mut Tx, ready: Vec<BulkInsert>) -> Result<(), DbError> {
    for rows in ready {
        tx.run_bulk_insert(rows).await?;
    }
    Ok(())
}
