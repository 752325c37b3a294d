//! Drift: compares a biller's users with those of its pool, and repairs differences with the code of the outbox. Users whom the
//! directory does not know are reported and never changed.

use std::collections::HashSet;
use std::io::Write;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::PushError;
use super::differences::differences;
use super::users::{self, DirectoryUser};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::{DbError, Sql};
use crate::directory::{Biller, UserPoolRef};
use crate::provisioning::{Provisioning, ProvisioningError};
use crate::secureauth::management::{CallError, ExportError, Management, PoolUser};
use crate::sql;
use signpost_core::decision::CiamState;
use signpost_core::{Slug, UserId};

const DIRECTORY_USERS: Sql = sql!(
    "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     NULL AS sealed, m.user_id AS member FROM users u LEFT JOIN membership m ON m.user_id = u.id AND m.biller_id = $1 WHERE u.id IN {keys}"
);
/// SecureAuth's recommendation.
const MAX_CONCURRENT_REQUESTS: usize = 8;
/// Users of the directory in one read.
const PAGE_SIZE: i64 = 1000;

#[derive(Clone, Debug, Default)]
pub struct Drift {
    pub directory_users: i64,
    pub pool_users: i64,
    /// Users whom the pool lacks.
    pub missing: Vec<UserId>,
    /// Users who differ, and the names of the differing parts.
    pub different: Vec<(UserId, Vec<&'static str>)>,
    /// Users of the pool who were deleted or are no longer members of the biller.
    pub extra: Vec<UserId>,
    /// Users of the pool whom the directory does not know, by id and name.
    pub unknown: Vec<(String, String)>,
    /// Set if the organization's `deactivated` differs: Signpost's value. It is true for a suspended biller.
    pub deactivated: Option<bool>,
}

impl Drift {
    /// Whether a repair has something to do.
    pub fn is_empty(&self) -> bool {
        self.deactivated.is_none() && self.to_repair().next().is_none()
    }

    /// The users that a repair pushes.
    pub fn to_repair(&self) -> impl Iterator<Item = &UserId> {
        self.missing.iter().chain(self.different.iter().map(|(user, _)| user)).chain(&self.extra)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error(transparent)]
    Enable(#[from] ProvisioningError),
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

impl Provisioning {
    /// Compares all users of a migrated biller with those of its pool, and whether its organization is deactivated.
    pub async fn drift(&self, slug: &Slug) -> Result<Drift, SyncError> {
        let biller = self.biller(slug).await?;
        let (management, user_pool) = self.require_user_pool(&biller).await?;
        let organization = management.organization(&user_pool.organization).await?;
        let missing =
            || ProvisioningError::ResourceMissing { kind: "organization", id: user_pool.organization.clone() };
        let is_suspended = biller.state == CiamState::Suspended;
        let differs = organization.ok_or_else(missing)?.deactivated != is_suspended;
        let mut drift = Drift { deactivated: differs.then_some(is_suspended), ..Drift::default() };
        let seen = self.compare_pool(management, (&biller, &user_pool), &mut drift).await?;
        let mut after = String::new();
        loop {
            let page = users::page(&self.db, &biller.id, &after, PAGE_SIZE).await?;
            let Some(last) = page.last() else { return Ok(drift) };
            after.clone_from(&last.id);
            drift.directory_users += i64::try_from(page.len()).unwrap_or(0);
            // SecureAuth's lists lag behind: a user who is not listed is looked up by id.
            let unlisted = page.iter().filter(|user| !seen.contains(&user.id));
            let pool = user_pool.pool.as_str();
            let lookups =
                unlisted.map(|user| async move { Ok::<_, CallError>((user, management.user(pool, &user.id).await?)) });
            let answers: Vec<(&DirectoryUser, Option<PoolUser>)> =
                stream::iter(lookups).buffered(MAX_CONCURRENT_REQUESTS).try_collect().await?;
            for (desired, actual) in answers {
                match actual {
                    None => drift.missing.push(UserId::from_stored(desired.id.clone())),
                    Some(actual) => compare_user(&mut drift, desired, &actual),
                }
            }
        }
    }

    /// Compares every listed user of the pool. Returns their ids.
    async fn compare_pool(
        &self,
        management: &Management,
        (biller, user_pool): (&Biller, &UserPoolRef),
        drift: &mut Drift,
    ) -> Result<HashSet<String>, SyncError> {
        let mut seen = HashSet::new();
        let mut after = None;
        loop {
            let page = management.users(&user_pool.pool, after.as_deref()).await?;
            let Some(last) = page.last() else { return Ok(seen) };
            after = Some(last.id.clone());
            drift.pool_users += i64::try_from(page.len()).unwrap_or(0);
            let ids: Vec<&str> = page.iter().map(|user| user.id.as_str()).collect();
            let mut tx = self.db.begin().await?;
            let rows = tx.all_in(DIRECTORY_USERS, biller.id.as_str().into(), &ids).await?;
            drop(tx);
            let mut known = Vec::new();
            for row in &rows {
                known.push((users::from_row(row)?, row.opt_text("member")?.is_some()));
            }
            for actual in page {
                match known.iter().find(|(user, _)| user.id == actual.id) {
                    None => drift.unknown.push((actual.id.clone(), display_name(&actual))),
                    Some((user, is_member)) if !is_member || user.status == "deleted" => {
                        drift.extra.push(UserId::from_stored(actual.id.clone()));
                    }
                    Some((user, _)) => compare_user(drift, user, &actual),
                }
                seen.insert(actual.id);
            }
        }
    }

    /// Sets the organization's `deactivated` and pushes every user who differs. Returns the users for whom that failed. `on_progress` is called after each user.
    pub async fn repair(
        &self,
        slug: &Slug,
        drift: &Drift,
        actor: &ActorContext,
        on_progress: impl Fn(),
    ) -> Result<Vec<(UserId, PushError)>, SyncError> {
        let biller = self.biller(slug).await?;
        let (management, user_pool) = self.require_user_pool(&biller).await?;
        actor
            .record_alone(
                &self.db,
                AuditEvent::new(Action::UsersSynced).at(slug).with("users", drift.to_repair().count()),
            )
            .await?;
        if let Some(deactivated) = drift.deactivated {
            management.set_organization_deactivated(&user_pool.organization, deactivated).await?;
        }
        let (biller, user_pool, on_progress) = (&biller, &user_pool, &on_progress);
        let results = drift.to_repair().map(|user| async move {
            let done = self.push_user(management, (biller, user_pool), user).await;
            on_progress();
            done.err().map(|error| (user.clone(), error))
        });
        Ok(stream::iter(results)
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .filter_map(std::future::ready)
            .collect()
            .await)
    }

    /// Writes the biller's pool as SecureAuth exports it, as JSON. Returns the number of users.
    pub async fn export(
        &self,
        slug: &Slug,
        actor: &ActorContext,
        out: impl Write + Send + 'static,
    ) -> Result<u64, SyncError> {
        let biller = self.biller(slug).await?;
        let (management, user_pool) = self.require_user_pool(&biller).await?;
        actor.record_alone(&self.db, AuditEvent::new(Action::UsersExported).at(slug)).await?;
        Ok(management.export_pool(&user_pool.pool, out).await?)
    }
}

fn compare_user(drift: &mut Drift, desired: &DirectoryUser, actual: &PoolUser) {
    let fields = differences(desired, actual);
    if !fields.is_empty() {
        drift.different.push((UserId::from_stored(desired.id.clone()), fields));
    }
}

fn display_name(actual: &PoolUser) -> String {
    actual.identifiers.first().map(|entry| entry.value.clone()).unwrap_or_default()
}
