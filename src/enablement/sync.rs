//! Comparing a biller's users here with those of its pool, and mending what differs by the code of the outbox. People whom the
//! directory does not know are shown and left alone.

use std::collections::HashSet;
use std::io::Write;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::mirror::differences;
use super::users::{self, Mover};
use super::{BringError, EnableError, Enablement};
use crate::audit::{Act, Action, By};
use crate::db::DbError;
use crate::directory::{Biller, Home};
use crate::secureauth::management::{CallError, ExportError, Management, PoolUser};
use signpost_core::{Slug, UserId};

const KNOWN: &str = "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     NULL, m.user_id FROM users u LEFT JOIN membership m ON m.user_id = u.id AND m.biller_id = $1 WHERE u.id IN";
/// Calls at once: the vendor's figure.
const PARALLEL: usize = 8;
/// Users of the directory looked at together.
const PAGE: i64 = 1000;

/// What differs between the directory and a pool.
#[derive(Clone, Debug, Default)]
pub struct Drift {
    /// Users of the biller.
    pub here: i64,
    /// Users of the pool.
    pub there: i64,
    /// Users who are not in the pool.
    pub missing: Vec<UserId>,
    /// Users who differ, and in what.
    pub different: Vec<(UserId, Vec<&'static str>)>,
    /// Users of the directory who should not be in the pool: deleted, or no longer the biller's.
    pub gone: Vec<UserId>,
    /// People of the pool whom the directory does not know, by id and name.
    pub unknown: Vec<(String, String)>,
}

impl Drift {
    /// Who is to be brought to the present state.
    pub fn to_mend(&self) -> impl Iterator<Item = &UserId> {
        self.missing.iter().chain(self.different.iter().map(|(user, _)| user)).chain(&self.gone)
    }
}

/// Why users could not be compared, mended or exported.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The biller, the settings or the database.
    #[error(transparent)]
    Enable(#[from] EnableError),
    /// SecureAuth's export, or a file.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl From<CallError> for SyncError {
    fn from(error: CallError) -> Self {
        Self::Enable(error.into())
    }
}

impl From<DbError> for SyncError {
    fn from(error: DbError) -> Self {
        Self::Enable(error.into())
    }
}

impl Enablement {
    /// Compares all users of a moved biller with those of its pool.
    ///
    /// # Errors
    /// The biller was not moved, or SecureAuth or the database failed.
    pub async fn drift(&self, slug: &Slug) -> Result<Drift, SyncError> {
        let biller = self.biller(slug).await?;
        let (management, home) = self.at_home(&biller).await?;
        let mut drift = Drift::default();
        let seen = self.compare_pool(management, (&biller, &home), &mut drift).await?;
        let mut after = String::new();
        loop {
            let page = users::page(&self.db, &biller.id, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(drift) };
            after.clone_from(&last.id);
            drift.here += i64::try_from(page.len()).unwrap_or(0);
            // The vendor's lists lag behind: who is not in one is asked for by name.
            let unseen = page.iter().filter(|user| !seen.contains(&user.id));
            let pool = home.pool.as_str();
            let asked =
                unseen.map(|user| async move { Ok::<_, CallError>((user, management.user(pool, &user.id).await?)) });
            let answers: Vec<(&Mover, Option<PoolUser>)> = stream::iter(asked).buffered(PARALLEL).try_collect().await?;
            for (wanted, there) in answers {
                match there {
                    None => drift.missing.push(UserId::from_stored(wanted.id.clone())),
                    Some(there) => note(&mut drift, wanted, &there),
                }
            }
        }
    }

    /// Goes through the pool page by page; answers whom it has seen.
    async fn compare_pool(
        &self,
        management: &Management,
        (biller, home): (&Biller, &Home),
        drift: &mut Drift,
    ) -> Result<HashSet<String>, SyncError> {
        let mut seen = HashSet::new();
        let mut after = None;
        loop {
            let page = management.users(&home.pool, after.as_deref()).await?;
            let Some(last) = page.last() else { return Ok(seen) };
            after = Some(last.id.clone());
            drift.there += i64::try_from(page.len()).unwrap_or(0);
            let ids: Vec<&str> = page.iter().map(|user| user.id.as_str()).collect();
            let mut tx = self.db.begin().await?;
            let rows = tx.all_in(KNOWN, biller.id.as_str().into(), &ids).await?;
            drop(tx);
            let mut known = Vec::new();
            for row in &rows {
                known.push((users::read(row)?, row.opt_text(9)?.is_some()));
            }
            for there in page {
                match known.iter().find(|(user, _)| user.id == there.id) {
                    None => drift.unknown.push((there.id.clone(), name(&there))),
                    Some((user, is_member)) if !is_member || user.status == "deleted" => {
                        drift.gone.push(UserId::from_stored(there.id.clone()));
                    }
                    Some((user, _)) => note(drift, user, &there),
                }
                seen.insert(there.id);
            }
        }
    }

    /// Brings everybody who differs to the present state; answers for whom that failed. `told` is called after each.
    ///
    /// # Errors
    /// The biller was not moved, or the database failed.
    pub async fn mend(
        &self,
        slug: &Slug,
        drift: &Drift,
        by: &By,
        told: impl Fn(),
    ) -> Result<Vec<(UserId, BringError)>, SyncError> {
        let biller = self.biller(slug).await?;
        let (management, home) = self.at_home(&biller).await?;
        by.note_alone(&self.db, Act::of(Action::UsersSynced).at(slug).with("users", drift.to_mend().count())).await?;
        let (biller, home, told) = (&biller, &home, &told);
        let brought = drift.to_mend().map(|user| async move {
            let done = self.bring(management, (biller, home), user).await;
            told();
            done.err().map(|error| (user.clone(), error))
        });
        Ok(stream::iter(brought).buffer_unordered(PARALLEL).filter_map(std::future::ready).collect().await)
    }

    /// Writes what SecureAuth has of a biller's pool as JSON; answers how many users.
    ///
    /// # Errors
    /// The biller was not moved, SecureAuth failed, or `out` did.
    pub async fn export(&self, slug: &Slug, by: &By, out: impl Write + Send + 'static) -> Result<u64, SyncError> {
        let biller = self.biller(slug).await?;
        let (management, home) = self.at_home(&biller).await?;
        by.note_alone(&self.db, Act::of(Action::UsersExported).at(slug)).await?;
        Ok(management.export(&home.pool, out).await?)
    }
}

fn note(drift: &mut Drift, wanted: &Mover, there: &PoolUser) {
    let fields = differences(wanted, there);
    if !fields.is_empty() {
        drift.different.push((UserId::from_stored(wanted.id.clone()), fields));
    }
}

fn name(there: &PoolUser) -> String {
    there.identifiers.first().map(|entry| entry.value.clone()).unwrap_or_default()
}
