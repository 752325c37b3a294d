//! Sending a biller's users: a hundred a request, eight requests at once (the vendor's figures).

use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::ledger::{Job, StopReason};
use super::users::{self, DirectoryUser};
use super::worker::{fail_or_retry, retry_later};
use super::{Provisioning, failpoints};
use crate::directory::PasswordCarryOver;
use crate::secureauth::management::Management;
use signpost_core::Timestamp;

/// Users a request, at most.
const BATCH_SIZE: usize = 100;
/// Users read at once.
const PAGE_SIZE: i64 = 800;
/// Requests at once.
const MAX_CONCURRENT_REQUESTS: usize = 8;
/// How far it came is written after so many requests, or after so long.
const CHECKPOINT_BATCHES: usize = 8;
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);
/// Users asked for by their exact id at the end.
const SPOT_CHECKED_USERS: i64 = 20;
/// How often the numbers are compared again before they are taken for wrong, and how long between.
const MAX_COUNT_CHECKS: u32 = 10;
const COUNT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl Provisioning {
    /// Sends all users after those that were sent before.
    pub(super) async fn import_users(
        &self,
        management: &Management,
        job: &mut Job,
        pool: &str,
    ) -> Result<(), StopReason> {
        self.probe_password_import(management, job, pool).await?;
        let batches = self.batches(job, job.last_user_id.clone(), None);
        let mut imported = self.import_stream(management, job, pool, batches);
        let (mut after, mut done) = (job.last_user_id.clone(), job.done);
        let (mut uncheckpointed, mut checkpointed_at) = (0, self.clock.now());
        loop {
            let next = imported.try_next().await?;
            let is_last = next.is_none();
            if let Some((last, count)) = next {
                (after, done, uncheckpointed) = (last, done + count, uncheckpointed + 1);
            }
            let is_due =
                uncheckpointed >= CHECKPOINT_BATCHES || checkpointed_at.plus(CHECKPOINT_INTERVAL) <= self.clock.now();
            if uncheckpointed > 0 && (is_due || is_last) {
                failpoints::hit("users", "sent");
                self.renew_lease(job).await?;
                self.record_progress(job, (&after, done), "Users are being created in SecureAuth.").await?;
                failpoints::hit("users", "checkpointed");
                (uncheckpointed, checkpointed_at) = (0, self.clock.now());
            }
            if is_last {
                break;
            }
        }
        drop(imported);
        (job.last_user_id, job.done) = (after, done);
        Ok(())
    }

    /// How a hash is written down there is not documented: one user goes first, and all wait for what comes of it.
    async fn probe_password_import(&self, management: &Management, job: &Job, pool: &str) -> Result<(), StopReason> {
        if job.passwords != PasswordCarryOver::Imported || !job.last_user_id.is_empty() {
            return Ok(());
        }
        let Some(user) = users::with_password(&self.db, &job.biller_id).await? else { return Ok(()) };
        let dump = self.dump(job.passwords, (management.tenant(), pool), std::slice::from_ref(&user));
        management.import_users(&dump).await.map_err(|error| match fail_or_retry(&error) {
            StopReason::Failed(why) => StopReason::Failed(format!(
                "a first user with a password hash was not taken ({why}): enable with --passwords reset-required, if it is the hash"
            )),
            other => other,
        })?;
        failpoints::hit("password", "probed");
        Ok(())
    }

    /// Sends users who were made or changed since the job began, and takes those away who are gone.
    pub(super) async fn import_changes(
        &self,
        management: &Management,
        job: &Job,
        pool: &str,
    ) -> Result<(), StopReason> {
        self.renew_lease(job).await?;
        let batches = self.batches(job, String::new(), Some(job.created_at));
        let mut imported = self.import_stream(management, job, pool, batches);
        while imported.try_next().await?.is_some() {
            self.renew_lease(job).await?;
        }
        drop(imported);
        for user in users::removed(&self.db, &job.biller_id).await? {
            self.renew_lease(job).await?;
            management.delete_user(pool, &user).await.map_err(|error| fail_or_retry(&error))?;
        }
        failpoints::hit("changes", "sent");
        Ok(())
    }

    /// Users after an id, batch by batch.
    fn batches(
        &self,
        job: &Job,
        after: String,
        since: Option<Timestamp>,
    ) -> impl Stream<Item = Result<Vec<DirectoryUser>, StopReason>> + use<> {
        let (db, biller) = (self.db.clone(), job.biller_id.clone());
        let pages = stream::try_unfold(after, move |after| {
            let (db, biller) = (db.clone(), biller.clone());
            async move {
                let users = match since {
                    None => users::page(&db, &biller, &after, PAGE_SIZE).await?,
                    Some(since) => users::changed(&db, &biller, &after, PAGE_SIZE, since).await?,
                };
                let last = users.last().map(|user| user.id.clone());
                Ok::<_, StopReason>(last.map(|last| (users, last)))
            }
        });
        pages.map_ok(|users| stream::iter(chunks(users).map(Ok))).try_flatten()
    }

    /// Sends batches, several at once; answers in their order the last user of each and how many they were.
    fn import_stream<'s>(
        &'s self,
        management: &'s Management,
        job: &Job,
        pool: &'s str,
        batches: impl Stream<Item = Result<Vec<DirectoryUser>, StopReason>> + Send + 's,
    ) -> BoxStream<'s, Result<(String, i64), StopReason>> {
        let passwords = job.passwords;
        let send = move |users: Vec<DirectoryUser>| async move {
            let dump = self.dump(passwords, (management.tenant(), pool), &users);
            management.import_users(&dump).await.map_err(|error| fail_or_retry(&error))?;
            let count = i64::try_from(users.len()).unwrap_or(0);
            Ok((users.into_iter().next_back().map(|user| user.id).unwrap_or_default(), count))
        };
        batches.map_ok(send).try_buffered(MAX_CONCURRENT_REQUESTS).boxed()
    }

    /// As many users there as here, and some of them by their exact id. Numbers there may lag, and people change here
    /// meanwhile: they are brought in line and compared again before anything is taken for wrong.
    pub(super) async fn verify_import(&self, management: &Management, job: &Job, pool: &str) -> Result<(), StopReason> {
        let mut checks = 0;
        loop {
            self.import_changes(management, job, pool).await?;
            let expected = users::count(&self.db, &job.biller_id).await?;
            let found = management.pool(pool).await.map_err(retry_later)?.and_then(|pool| pool.number_of_users);
            checks += 1;
            match found {
                Some(found) if found != expected && checks < MAX_COUNT_CHECKS => {
                    tokio::time::sleep(COUNT_CHECK_INTERVAL).await
                }
                Some(found) if found != expected => {
                    return Err(StopReason::Failed(format!("{found} users at SecureAuth, but {expected} here")));
                }
                _ => break,
            }
        }
        let some = users::page(&self.db, &job.biller_id, "", SPOT_CHECKED_USERS).await?;
        let look_up = |user: DirectoryUser| async move {
            Ok::<_, StopReason>((management.has_user(pool, &user.id).await.map_err(retry_later)?, user.id))
        };
        let mut lookups = stream::iter(some).map(look_up).buffer_unordered(MAX_CONCURRENT_REQUESTS);
        while let Some((is_there, user)) = lookups.try_next().await? {
            if !is_there {
                return Err(StopReason::Failed(format!("the user {user} is not at SecureAuth")));
            }
        }
        failpoints::hit("users", "verified");
        Ok(())
    }
}

/// The users in parts that fit a request.
fn chunks(users: Vec<DirectoryUser>) -> impl Iterator<Item = Vec<DirectoryUser>> {
    let mut left = users.into_iter();
    std::iter::from_fn(move || {
        Some(left.by_ref().take(BATCH_SIZE).collect()).filter(|chunk: &Vec<DirectoryUser>| !chunk.is_empty())
    })
}
