//! Imports a biller's users in concurrent batches, by the method that the probe found.

use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use crate::provisioning::Provisioning;
use crate::provisioning::jobs::{LeasedJob, StopReason, fail_or_retry, retry_later};
use crate::provisioning::sync::import_method::ImportMethod;
use crate::provisioning::sync::push::{PushError, PushTarget};
use crate::provisioning::sync::users::{self, DirectoryUser};
use crate::secureauth::management::Management;
use signpost_core::Timestamp;

/// Users in one request: SecureAuth's limit.
const BATCH_SIZE: usize = 100;
/// Users in one read from the database.
const PAGE_SIZE: i64 = 800;
/// SecureAuth's recommendation.
const MAX_CONCURRENT_REQUESTS: usize = 8;
/// Progress is recorded after this many requests, or after [`CHECKPOINT_INTERVAL`].
const CHECKPOINT_BATCHES: usize = 8;
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);
/// Users that are looked up by id after the import.
const SPOT_CHECKED_USERS: i64 = 20;
/// SecureAuth's counts lag behind: they are compared this often, with [`COUNT_CHECK_INTERVAL`] in between, before the job fails.
const MAX_COUNT_CHECKS: u32 = 10;
const COUNT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl Provisioning {
    /// Imports the users after the last recorded one.
    pub(super) async fn import_users(
        &self,
        management: &Management,
        job: &mut LeasedJob,
        pool: &str,
    ) -> Result<(), StopReason> {
        let Some(method) = self.import_method(management, job, pool).await? else { return Ok(()) };
        let batches = self.batches(job, job.last_user_id.clone(), None);
        let mut imported = self.import_stream(management, job, (pool, method), batches);
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
                self.failpoints.hit("users", "sent");
                self.ledger.renew_lease(job).await?;
                self.ledger.record_progress(job, (&after, done), "Users are being created in SecureAuth.").await?;
                self.failpoints.hit("users", "checkpointed");
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

    /// Imports users who were created or changed since the job began, and deletes users who were removed.
    async fn import_changes(&self, management: &Management, job: &LeasedJob, pool: &str) -> Result<(), StopReason> {
        self.ledger.renew_lease(job).await?;
        // Without a method there are no users.
        if let Some(method) = self.import_method(management, job, pool).await? {
            let batches = self.batches(job, String::new(), Some(job.created_at));
            let mut imported = self.import_stream(management, job, (pool, method), batches);
            while imported.try_next().await?.is_some() {
                self.ledger.renew_lease(job).await?;
            }
        }
        for user in users::removed(&self.db, &job.biller_id).await? {
            self.ledger.renew_lease(job).await?;
            management.delete_user(pool, &user).await.map_err(|error| fail_or_retry(&error))?;
        }
        self.failpoints.hit("changes", "sent");
        Ok(())
    }

    fn batches(
        &self,
        job: &LeasedJob,
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

    /// Imports batches concurrently. Yields the last user and the size of each batch, in order.
    fn import_stream<'s>(
        &'s self,
        management: &'s Management,
        job: &LeasedJob,
        (pool, method): (&'s str, ImportMethod),
        batches: impl Stream<Item = Result<Vec<DirectoryUser>, StopReason>> + Send + 's,
    ) -> BoxStream<'s, Result<(String, i64), StopReason>> {
        let (passwords, biller) = (job.passwords, job.biller_id.clone());
        let send = move |users: Vec<DirectoryUser>| {
            let biller = biller.clone();
            async move {
                match method {
                    ImportMethod::Import(call) => {
                        let dump = self.dump(passwords, (management.tenant(), pool), &users)?;
                        management.import_users(call, &dump).await.map_err(|error| fail_or_retry(&error))?;
                    }
                    ImportMethod::SingleUsers => {
                        let target = PushTarget { biller: &biller, pool, passwords };
                        for user in &users {
                            self.write_user(management, target, user).await.map_err(stop_reason)?;
                        }
                    }
                }
                let count = i64::try_from(users.len()).unwrap_or(0);
                Ok((users.into_iter().next_back().map(|user| user.id).unwrap_or_default(), count))
            }
        };
        batches.map_ok(send).try_buffered(MAX_CONCURRENT_REQUESTS).boxed()
    }

    /// Compares the number of users and looks some of them up by id. SecureAuth's counts may lag, and users may change during the
    /// import: changes are imported before each comparison.
    pub(super) async fn verify_import(
        &self,
        management: &Management,
        job: &LeasedJob,
        pool: &str,
    ) -> Result<(), StopReason> {
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
                    return Err(StopReason::Failed(format!(
                        "SecureAuth has {found} users, but the directory has {expected}"
                    )));
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
                return Err(StopReason::Failed(format!("SecureAuth does not have the user {user}")));
            }
        }
        self.failpoints.hit("users", "verified");
        Ok(())
    }
}

fn stop_reason(error: PushError) -> StopReason {
    match error {
        PushError::Call(error) => fail_or_retry(&error),
        PushError::Db(error) => error.into(),
        other => StopReason::Failed(other.to_string()),
    }
}

fn chunks(users: Vec<DirectoryUser>) -> impl Iterator<Item = Vec<DirectoryUser>> {
    let mut left = users.into_iter();
    std::iter::from_fn(move || {
        Some(left.by_ref().take(BATCH_SIZE).collect()).filter(|chunk: &Vec<DirectoryUser>| !chunk.is_empty())
    })
}
