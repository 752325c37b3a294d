//! Sending a biller's users: a hundred a request, eight requests at once (the vendor's figures).

use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::ledger::{Job, Stop};
use super::users::{self, Mover};
use super::work::{failed, later};
use super::{Enablement, points};
use crate::directory::PasswordCarryOver;
use crate::secureauth::management::Management;
use signpost_core::Timestamp;

/// Users a request, at most.
const BATCH: usize = 100;
/// Users read at once.
const PAGE: i64 = 800;
/// Requests at once.
const PARALLEL: usize = 8;
/// How far it came is written after so many requests, or after so long.
const NOTED_AFTER: usize = 8;
const NOTED_EVERY: Duration = Duration::from_millis(500);
/// Users asked for by their exact id at the end.
const LOOKED_UP: i64 = 20;
/// How often the numbers are compared again before they are taken for wrong, and how long between.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

impl Enablement {
    /// Sends all users after those that were sent before.
    pub(super) async fn send_users(&self, management: &Management, job: &mut Job, pool: &str) -> Result<(), Stop> {
        self.try_one_password(management, job, pool).await?;
        let batches = self.batches(job, job.users_after.clone(), None);
        let mut sent = self.sent(management, job, pool, batches);
        let (mut after, mut done) = (job.users_after.clone(), job.done);
        let (mut unnoted, mut noted_at) = (0, self.clock.now());
        loop {
            let next = sent.try_next().await?;
            let is_last = next.is_none();
            if let Some((last, count)) = next {
                (after, done, unnoted) = (last, done + count, unnoted + 1);
            }
            let is_due = unnoted >= NOTED_AFTER || noted_at.plus(NOTED_EVERY) <= self.clock.now();
            if unnoted > 0 && (is_due || is_last) {
                points::pass("users", "sent");
                self.renew(job).await?;
                self.users_done(job, (&after, done), "Users are being created in SecureAuth.").await?;
                points::pass("users", "noted");
                (unnoted, noted_at) = (0, self.clock.now());
            }
            if is_last {
                break;
            }
        }
        drop(sent);
        (job.users_after, job.done) = (after, done);
        Ok(())
    }

    /// How a hash is written down there is not documented: one user goes first, and all wait for what comes of it.
    async fn try_one_password(&self, management: &Management, job: &Job, pool: &str) -> Result<(), Stop> {
        if job.passwords != PasswordCarryOver::Imported || !job.users_after.is_empty() {
            return Ok(());
        }
        let Some(user) = users::with_password(&self.db, &job.biller_id).await? else { return Ok(()) };
        let dump = self.dump(job.passwords, (management.tenant(), pool), std::slice::from_ref(&user));
        management.import(&dump).await.map_err(|error| match failed(&error) {
            Stop::Failed(why) => Stop::Failed(format!(
                "a first user with a password hash was not taken ({why}): enable with --passwords reset-required, if it is the hash"
            )),
            other => other,
        })?;
        points::pass("password", "tried");
        Ok(())
    }

    /// Sends users who were made or changed since the job began, and takes those away who are gone.
    pub(super) async fn send_changed(&self, management: &Management, job: &Job, pool: &str) -> Result<(), Stop> {
        self.renew(job).await?;
        let batches = self.batches(job, String::new(), Some(job.created_at));
        let mut sent = self.sent(management, job, pool, batches);
        while sent.try_next().await?.is_some() {
            self.renew(job).await?;
        }
        drop(sent);
        for user in users::gone(&self.db, &job.biller_id).await? {
            self.renew(job).await?;
            management.delete_user(pool, &user).await.map_err(|error| failed(&error))?;
        }
        points::pass("changes", "sent");
        Ok(())
    }

    /// Users after an id, batch by batch.
    fn batches(
        &self,
        job: &Job,
        after: String,
        since: Option<Timestamp>,
    ) -> impl Stream<Item = Result<Vec<Mover>, Stop>> + use<> {
        let (db, biller) = (self.db.clone(), job.biller_id.clone());
        let pages = stream::try_unfold(after, move |after| {
            let (db, biller) = (db.clone(), biller.clone());
            async move {
                let users = match since {
                    None => users::page(&db, &biller, &after, PAGE).await?,
                    Some(since) => users::changed(&db, &biller, &after, PAGE, since).await?,
                };
                let last = users.last().map(|user| user.id.clone());
                Ok::<_, Stop>(last.map(|last| (users, last)))
            }
        });
        pages.map_ok(|users| stream::iter(parts(users).map(Ok))).try_flatten()
    }

    /// Sends batches, several at once; answers in their order the last user of each and how many they were.
    fn sent<'s>(
        &'s self,
        management: &'s Management,
        job: &Job,
        pool: &'s str,
        batches: impl Stream<Item = Result<Vec<Mover>, Stop>> + Send + 's,
    ) -> BoxStream<'s, Result<(String, i64), Stop>> {
        let passwords = job.passwords;
        let send = move |users: Vec<Mover>| async move {
            let dump = self.dump(passwords, (management.tenant(), pool), &users);
            management.import(&dump).await.map_err(|error| failed(&error))?;
            let count = i64::try_from(users.len()).unwrap_or(0);
            Ok((users.into_iter().next_back().map(|user| user.id).unwrap_or_default(), count))
        };
        batches.map_ok(send).try_buffered(PARALLEL).boxed()
    }

    /// As many users there as here, and some of them by their exact id. Numbers there may lag, and people change here
    /// meanwhile: they are brought in line and compared again before anything is taken for wrong.
    pub(super) async fn verify(&self, management: &Management, job: &Job, pool: &str) -> Result<(), Stop> {
        let mut looks = 0;
        loop {
            self.send_changed(management, job, pool).await?;
            let expected = users::count(&self.db, &job.biller_id).await?;
            let found = management.pool(pool).await.map_err(later)?.and_then(|pool| pool.number_of_users);
            looks += 1;
            match found {
                Some(found) if found != expected && looks < LOOKS => tokio::time::sleep(BETWEEN_LOOKS).await,
                Some(found) if found != expected => {
                    return Err(Stop::Failed(format!("{found} users at SecureAuth, but {expected} here")));
                }
                _ => break,
            }
        }
        let some = users::page(&self.db, &job.biller_id, "", LOOKED_UP).await?;
        let ask = |user: Mover| async move {
            Ok::<_, Stop>((management.has_user(pool, &user.id).await.map_err(later)?, user.id))
        };
        let mut asked = stream::iter(some).map(ask).buffer_unordered(PARALLEL);
        while let Some((is_there, user)) = asked.try_next().await? {
            if !is_there {
                return Err(Stop::Failed(format!("the user {user} is not at SecureAuth")));
            }
        }
        points::pass("users", "verified");
        Ok(())
    }
}

/// The users in parts that fit a request.
fn parts(users: Vec<Mover>) -> impl Iterator<Item = Vec<Mover>> {
    let mut left = users.into_iter();
    std::iter::from_fn(move || Some(left.by_ref().take(BATCH).collect()).filter(|part: &Vec<Mover>| !part.is_empty()))
}
