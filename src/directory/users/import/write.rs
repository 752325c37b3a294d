//! Writes batches of rows with a few statements each.

use std::collections::HashMap;

use secrecy::SecretString;
use serde_json::json;

use super::error::ImportError;
use super::passwords;
use super::row::UserRow;
use super::types::{BATCHES_PER_TRANSACTION, ImportContext, Options, Summary};
use crate::db::{BulkInsert, Db, DbError, ROWS_PER_STATEMENT, Sql, Tx, Value};
use crate::directory::outbox;
use crate::directory::users::user::UserStatus;
use crate::{sessions, sql, values};
use signpost_core::{Purpose, Timestamp, UserId};

const ADVANCE: Sql =
    sql!("UPDATE import_run SET rows_done = $4 WHERE biller_id = $1 AND file_hash = $2 AND rows_done = $3");
const SAVE_COUNTS: Sql =
    sql!("UPDATE import_run SET created = $3, updated = $4 WHERE biller_id = $1 AND file_hash = $2");
const FIND_BY_USERNAME: Sql = sql!(
    "SELECT m.username_key, u.email_key, u.id, m.biller_id, u.status FROM membership m \
     JOIN users u ON u.id = m.user_id WHERE (m.biller_id = $1 OR u.email_key <> '') AND m.username_key IN {keys}"
);
const UPSERT_USERS: Sql = sql!(
    "INSERT INTO users (id, username, username_key, email, email_key, first_name, last_name, status, \
     attributes, created_at, updated_at, deleted_at) VALUES {rows} ON CONFLICT (id) DO UPDATE SET username = excluded.username, email = excluded.email, \
     email_key = excluded.email_key, first_name = excluded.first_name, last_name = excluded.last_name, \
     status = excluded.status, attributes = excluded.attributes, updated_at = excluded.updated_at, \
     deleted_at = excluded.deleted_at"
);
const INSERT_MEMBERSHIPS: Sql =
    sql!("INSERT INTO membership (username_key, biller_id, user_id, legacy_account, created_at) VALUES {rows}");
const UPSERT_PASSWORDS: Sql = sql!(
    "INSERT INTO user_password (user_id, sealed, set_at) VALUES {rows} \
     ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at"
);
const OTHER_MEMBERSHIP: Sql = sql!(
    "SELECT m.biller_id FROM users u JOIN membership m ON m.username_key = u.username_key AND m.user_id = u.id \
     WHERE u.id = $1 AND m.biller_id <> $2 LIMIT 1"
);
const DELETE_MEMBERSHIP: Sql = sql!("DELETE FROM membership WHERE user_id = $1 AND biller_id = $2");

pub(super) struct Writer<'w> {
    pub db: &'w Db,
    pub biller_id: &'w str,
    pub options: Options,
    pub context: ImportContext<'w>,
    pub file_hash: &'w str,
    /// Rows written so far.
    pub done: i64,
    pub now: Timestamp,
    /// The open transaction, and how many batches it has.
    pub open: Option<(Tx, usize)>,
}

/// A row with what the database stores of it besides.
pub(super) struct Record {
    pub row: UserRow,
    email_key: String,
    attributes: String,
    /// The user's record needs no further write.
    is_written: bool,
}

impl Record {
    pub(super) fn new(row: UserRow) -> Self {
        let attributes = if row.roles.is_empty() { "{}".to_owned() } else { json!({ "roles": row.roles }).to_string() };
        Self { email_key: row.email.to_lowercase(), attributes, is_written: false, row }
    }
}

/// User ids by username and email address.
type KnownUsers = HashMap<(String, String), String>;

/// The values of three statements.
#[derive(Default)]
struct Batch {
    users: Vec<Vec<Value>>,
    members: Vec<Vec<Value>>,
    passwords: Vec<Vec<Value>>,
}

impl Writer<'_> {
    /// Writes the records and advances the progress, in the open transaction or a new one.
    pub(super) async fn write(&mut self, mut records: Vec<Record>, summary: &mut Summary) -> Result<(), ImportError> {
        if records.iter().any(|record| record.row.password.is_some()) {
            // Hashing takes long: do not hold the write lock meanwhile.
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
            let keys: Vec<&str> = records.iter().map(|record| record.row.key.as_str()).collect();
            self.find_by_username(&mut tx, &keys).await?
        };
        self.end_sessions_and_memberships(&mut tx, &mut records, &members).await?;
        // New users of a legacy biller need no sync.
        let is_migrated = outbox::is_migrated(&mut tx, self.biller_id).await?;
        let concerns = records
            .iter()
            .map(|record| record.row.key.as_str())
            .filter(|key| is_migrated || members.contains_key(*key));
        let names: Vec<String> = concerns.map(str::to_owned).collect();
        let mut left = records.into_iter().zip(hashes).peekable();
        let mut ready = Vec::new();
        while left.peek().is_some() || !ready.is_empty() {
            // Prepare the next rows while the database writes these.
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

    /// Commits the open transaction and lets waiting writers go first.
    pub(super) async fn commit(&mut self) -> Result<(), ImportError> {
        if let Some((tx, _)) = self.open.take() {
            tx.commit().await?;
            self.db.yield_to_waiters().await;
        }
        Ok(())
    }

    /// The password hash of each row. Plaintext passwords are hashed on all cores.
    async fn hashes(&self, records: &mut [Record]) -> Result<Vec<Option<String>>, ImportError> {
        let mut hashes: Vec<Option<String>> =
            records.iter_mut().map(|record| record.row.password_hash.take()).collect();
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

    /// The biller's members by username, and users of any biller by username and email address (the oldest record of each).
    async fn find_by_username(
        &self,
        tx: &mut Tx,
        keys: &[&str],
    ) -> Result<(HashMap<String, String>, KnownUsers), DbError> {
        let (mut members, mut known) = (HashMap::new(), KnownUsers::new());
        for row in tx.all_in(FIND_BY_USERNAME, self.biller_id.into(), keys).await? {
            let (name, mail, id) = (row.text("username_key")?, row.text("email_key")?, row.text("id")?);
            if row.text("biller_id")? == self.biller_id {
                members.insert(name.clone(), id.clone());
            }
            if mail.is_empty() || row.text("status")? == UserStatus::Deleted.as_str() {
                continue;
            }
            let oldest = known.entry((name, mail)).or_insert_with(|| id.clone());
            if id < *oldest {
                *oldest = id;
            }
        }
        Ok((members, known))
    }

    /// Ends the sessions of members who are no longer active. A deleted user with a membership elsewhere only loses this
    /// membership.
    async fn end_sessions_and_memberships(
        &self,
        tx: &mut Tx,
        records: &mut [Record],
        members: &HashMap<String, String>,
    ) -> Result<(), ImportError> {
        let now = self.now;
        for record in records.iter_mut().filter(|record| record.row.status != UserStatus::Active) {
            let Some(id) = members.get(record.row.key.as_str()) else { continue };
            let is_deleted = record.row.status == UserStatus::Deleted;
            if is_deleted && tx.one(OTHER_MEMBERSHIP, values![id, self.biller_id]).await?.is_some() {
                sessions::end_for_member(tx, self.biller_id, id, now).await?;
                tx.run(DELETE_MEMBERSHIP, values![id, self.biller_id]).await?;
                outbox::enqueue_member(tx, (self.biller_id, id), now, self.context.actor.random()).await?;
                record.is_written = true;
            } else {
                sessions::end_for_user(tx, id, now).await?;
            }
        }
        Ok(())
    }

    /// A user of another biller with the same username and email address is the same person: only a membership is added, and the
    /// user's record stays as it is.
    fn prepare(
        &self,
        records: impl Iterator<Item = (Record, Option<String>)>,
        (members, known): (&HashMap<String, String>, &KnownUsers),
        summary: &mut Summary,
    ) -> Result<Vec<BulkInsert>, DbError> {
        let mut batch = Batch::default();
        for (record, hash) in records {
            if let Some(id) = members.get(record.row.key.as_str()) {
                summary.updated += 1;
                if !record.is_written {
                    self.add_record(&mut batch, record, hash, id);
                }
                continue;
            }
            let name = (record.row.key.as_str().to_owned(), record.email_key.clone());
            let found = if known.is_empty() { None } else { known.get(&name) };
            let id = match found {
                Some(_) if record.row.status == UserStatus::Deleted => {
                    summary.updated += 1;
                    continue;
                }
                Some(known) => known.clone(),
                None => {
                    // The present time, not the import's: growing ids are neighbours in their index.
                    let id = UserId::new(self.context.actor.now(), self.context.actor.random()).to_string();
                    self.add_record(&mut batch, record, hash, &id);
                    id
                }
            };
            summary.created += 1;
            batch.members.push(values![name.0, self.biller_id, id, self.options.legacy_accounts, self.now]);
        }
        let statements = [
            self.db.bulk_insert(UPSERT_USERS, batch.users)?,
            self.db.bulk_insert(INSERT_MEMBERSHIPS, batch.members)?,
            self.db.bulk_insert(UPSERT_PASSWORDS, batch.passwords)?,
        ];
        Ok(statements.into_iter().flatten().collect())
    }

    fn add_record(&self, batch: &mut Batch, record: Record, hash: Option<String>, id: &str) {
        let now = self.now;
        let Record { row, email_key, attributes, .. } = record;
        let deleted_at = (row.status == UserStatus::Deleted).then_some(now);
        batch.users.push(values![
            id,
            row.username,
            row.key.as_str(),
            row.email,
            email_key,
            row.first_name,
            row.last_name,
            row.status.as_str(),
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
