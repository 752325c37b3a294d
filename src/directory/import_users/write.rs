//! Writing rows, a batch a transaction, a few statements a batch.

use std::collections::HashMap;

use secrecy::SecretString;
use serde_json::json;

use super::check::{read_status, roles};
use super::file::UserRow;
use super::{ImportError, Options, Summary, Tools, passwords};
use crate::db::{Db, Tx, Value};
use crate::directory::UserStatus;
use crate::kernel::{Purpose, Timestamp, UserId, Username};
use crate::values;

const MOVE_ON: &str = "UPDATE import_run SET rows_done = $4 WHERE biller_id = $1 AND file_hash = $2 AND rows_done = $3";
const COUNT: &str = "UPDATE import_run SET created = $3, updated = $4 WHERE biller_id = $1 AND file_hash = $2";
const MEMBERS: &str = "SELECT username_key, user_id FROM membership WHERE biller_id = $1 AND username_key IN";
const SAME_NAMES: &str = "SELECT m.username_key, u.email_key, u.id FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE u.status <> $1 AND u.email_key <> '' AND m.username_key IN";
const PUT_USERS: &str = "INSERT INTO users (id, username, username_key, email, email_key, first_name, last_name, status, \
     attributes, created_at, updated_at, deleted_at)";
const OVER_USERS: &str = "ON CONFLICT (id) DO UPDATE SET username = excluded.username, email = excluded.email, \
     email_key = excluded.email_key, first_name = excluded.first_name, last_name = excluded.last_name, \
     status = excluded.status, attributes = excluded.attributes, updated_at = excluded.updated_at, \
     deleted_at = excluded.deleted_at";
const PUT_MEMBERS: &str = "INSERT INTO membership (username_key, biller_id, user_id, legacy_account, created_at)";
const PUT_PASSWORDS: &str = "INSERT INTO user_password (user_id, sealed, set_at)";
const OVER_PASSWORDS: &str = "ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at";
const ELSEWHERE: &str = "SELECT biller_id FROM membership WHERE user_id = $1 AND biller_id <> $2 LIMIT 1";
const DROP_MEMBER: &str = "DELETE FROM membership WHERE user_id = $1 AND biller_id = $2";
const END_SESSIONS: &str = "UPDATE biller_session SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL";
const END_SESSIONS_HERE: &str =
    "UPDATE biller_session SET ended_at = $3 WHERE user_id = $1 AND biller_id = $2 AND ended_at IS NULL";

pub(super) struct Writer<'w> {
    pub db: &'w Db,
    pub biller_id: &'w str,
    pub options: Options,
    pub tools: Tools<'w>,
    pub file_hash: &'w str,
    /// Rows written.
    pub done: i64,
    pub now: Timestamp,
}

/// What a batch writes.
#[derive(Default)]
struct Batch {
    users: Vec<Vec<Value>>,
    members: Vec<Vec<Value>>,
    passwords: Vec<Vec<Value>>,
}

impl Writer<'_> {
    /// Writes the rows and moves the journal on, in one transaction.
    pub async fn write(&mut self, rows: &mut Vec<UserRow>, summary: &mut Summary) -> Result<(), ImportError> {
        let after = self.done + i64::try_from(rows.len()).unwrap_or(0);
        // Before the database is taken: hashing takes its time.
        let hashes = self.hashes(rows).await?;
        let keys = rows.iter().map(|row| Username::parse(&row.username));
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(std::io::Error::other)?;
        let mut tx = self.db.begin().await?;
        let moved = values![self.biller_id, self.file_hash, self.done, after];
        if tx.run(MOVE_ON, moved).await? == 0 {
            return Err(ImportError::Overtaken);
        }
        let members = self.members(&mut tx, &keys).await?;
        let known = self.known(&mut tx, &keys).await?;
        let mut batch = Batch::default();
        for ((row, key), hash) in rows.drain(..).zip(&keys).zip(hashes) {
            let is_new = self.put(&mut tx, &mut batch, &row, key.as_str(), hash, (&members, &known)).await?;
            if is_new { summary.created += 1 } else { summary.updated += 1 }
        }
        tx.run_rows(PUT_USERS, &batch.users, OVER_USERS).await?;
        tx.run_rows(PUT_MEMBERS, &batch.members, "").await?;
        tx.run_rows(PUT_PASSWORDS, &batch.passwords, OVER_PASSWORDS).await?;
        tx.run(COUNT, values![self.biller_id, self.file_hash, summary.created, summary.updated]).await?;
        tx.commit().await?;
        self.done = after;
        Ok(())
    }

    /// The password hash of each row, if it has one.
    async fn hashes(&self, rows: &mut [UserRow]) -> Result<Vec<Option<String>>, ImportError> {
        let given = |row: &mut UserRow| std::mem::take(&mut row.password_hash);
        let mut hashes: Vec<Option<String>> =
            rows.iter_mut().map(given).map(|hash| (!hash.is_empty()).then_some(hash)).collect();
        let plain: Vec<(usize, SecretString)> = rows
            .iter_mut()
            .enumerate()
            .filter_map(|(at, row)| row.password.take().map(|password| (at, password)))
            .collect();
        if plain.is_empty() {
            return Ok(hashes);
        }
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut running = Vec::new();
        for part in plain.chunks(plain.len().div_ceil(workers)) {
            let (part, random) = (part.to_vec(), self.tools.random.clone());
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

    /// Who belongs to the biller already.
    async fn members(&self, tx: &mut Tx, keys: &[Username]) -> Result<HashMap<String, String>, ImportError> {
        let keys: Vec<&str> = keys.iter().map(Username::as_str).collect();
        let rows = tx.all_in(MEMBERS, self.biller_id.into(), &keys).await?;
        Ok(rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect::<Result<_, crate::db::DbError>>()?)
    }

    /// Who of any biller has these names, by name and mail address; the oldest record first.
    async fn known(&self, tx: &mut Tx, keys: &[Username]) -> Result<HashMap<(String, String), String>, ImportError> {
        let keys: Vec<&str> = keys.iter().map(Username::as_str).collect();
        let mut known = HashMap::new();
        for row in tx.all_in(SAME_NAMES, UserStatus::Deleted.as_str().into(), &keys).await? {
            let id = row.text(2)?;
            let oldest = known.entry((row.text(0)?, row.text(1)?)).or_insert_with(|| id.clone());
            if id < *oldest {
                *oldest = id;
            }
        }
        Ok(known)
    }

    /// Takes one row into the batch; answers whether it is new to the biller. The same username and mail address at another
    /// biller is taken for the same person, whose record this biller's file does not change; and a person who is deleted
    /// here but belongs elsewhere as well only stops belonging here.
    async fn put(
        &self,
        tx: &mut Tx,
        batch: &mut Batch,
        row: &UserRow,
        key: &str,
        hash: Option<String>,
        (members, known): (&HashMap<String, String>, &HashMap<(String, String), String>),
    ) -> Result<bool, ImportError> {
        let now = self.now;
        let status = read_status(&row.status).unwrap_or(UserStatus::Active);
        if let Some(id) = members.get(key) {
            if status == UserStatus::Deleted && tx.one(ELSEWHERE, values![id, self.biller_id]).await?.is_some() {
                tx.run(END_SESSIONS_HERE, values![id, self.biller_id, now]).await?;
                tx.run(DROP_MEMBER, values![id, self.biller_id]).await?;
                return Ok(false);
            }
            if status != UserStatus::Active {
                tx.run(END_SESSIONS, values![id, now]).await?;
            }
            self.take_record(batch, row, key, hash, (id, status));
            return Ok(false);
        }
        let email_key = row.email.to_lowercase();
        let id = match known.get(&(key.to_owned(), email_key)) {
            Some(_) if status == UserStatus::Deleted => return Ok(false),
            Some(known) => known.clone(),
            None => {
                // By the present moment: ids that grow land side by side in their indexes.
                let id = UserId::new(self.tools.clock.now(), self.tools.random).to_string();
                self.take_record(batch, row, key, hash, (&id, status));
                id
            }
        };
        batch.members.push(values![key, self.biller_id, id, self.options.legacy_accounts, now]);
        Ok(true)
    }

    fn take_record(
        &self,
        batch: &mut Batch,
        row: &UserRow,
        key: &str,
        hash: Option<String>,
        (id, status): (&str, UserStatus),
    ) {
        let now = self.now;
        let deleted_at = (status == UserStatus::Deleted).then_some(now);
        let attributes = match roles(&row.roles) {
            Some(roles) if !roles.is_empty() => json!({ "roles": roles }).to_string(),
            _ => "{}".to_owned(),
        };
        batch.users.push(values![
            id,
            row.username.as_str(),
            key,
            row.email.as_str(),
            row.email.to_lowercase(),
            row.first_name.as_str(),
            row.last_name.as_str(),
            status.as_str(),
            attributes,
            now,
            now,
            deleted_at
        ]);
        if let Some(hash) = hash {
            batch.passwords.push(values![id, self.tools.keys.seal(Purpose::Storage, id, &hash), now]);
        }
    }
}
