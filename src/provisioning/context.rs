//! What provisioning is built from, and what every part of it uses.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::failpoints::Failpoints;
use super::jobs::Ledger;
use super::{CiamMode, ProvisioningError};
use crate::audit::{Actor, ActorContext};
use crate::config::Config;
use crate::db::{Db, DbError, Sql};
use crate::directory::{Biller, Directory, UserChangeQueue, UserPoolRef};
use crate::secureauth::Providers;
use crate::secureauth::management::Management;
use crate::telemetry::Traces;
use crate::{sql, values};
use signpost_core::{BillerId, Clock, KeyRing, Random, Slug};

const USER_POOL: Sql = sql!(
    "SELECT o.object_id AS organization, p.object_id AS pool, j.mode AS mode FROM job j \
     JOIN job_step o ON o.job_id = j.id AND o.kind = 'organization' \
     JOIN job_step p ON p.job_id = j.id AND p.kind = 'pool' \
     WHERE j.biller_id = $1 AND j.state = 'active' ORDER BY j.created_at DESC LIMIT 1"
);

/// Enablement jobs, and the sync of users and settings with SecureAuth. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Provisioning {
    pub(super) db: Db,
    pub(super) directory: Directory,
    pub(super) management: Option<Management>,
    pub(super) providers: Providers,
    pub(super) keys: KeyRing,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) failpoints: Failpoints,
    pub(super) public_url: url::Url,
    pub(super) ledger: Ledger,
    pub(super) user_changes: UserChangeQueue,
    pub(super) lease_time: Duration,
    /// Wakes the job worker of this process.
    pub(super) wake: Arc<Notify>,
    pub(super) traces: Traces,
}

#[derive(Clone, Debug)]
pub struct Deps {
    pub db: Db,
    pub directory: Directory,
    /// `None` if the settings name no management API.
    pub management: Option<Management>,
    pub providers: Providers,
    /// Seals client secrets.
    pub keys: KeyRing,
    pub clock: Clock,
    pub random: Random,
    pub traces: Traces,
}

impl Provisioning {
    pub fn new(deps: Deps, config: &Config) -> Self {
        let Deps { db, directory, management, providers, keys, clock, random, traces } = deps;
        let lease_time = Duration::from_secs(config.secureauth.lease_seconds);
        let clocks = || (clock.clone(), random.clone());
        Self {
            ledger: Ledger::new(db.clone(), directory.clone(), clocks(), lease_time),
            user_changes: UserChangeQueue::new(db.clone(), clocks(), lease_time),
            public_url: config.server.public_url.clone(),
            wake: Arc::default(),
            db,
            directory,
            management,
            providers,
            keys,
            clock,
            random,
            failpoints: Failpoints::default(),
            lease_time,
            traces,
        }
    }

    /// Takes the place of another one under other settings: what wakes its worker wakes this one.
    #[must_use]
    pub fn continuing(self, previous: &Self) -> Self {
        let management = match (self.management, &previous.management) {
            (Some(management), Some(previous)) => Some(management.continuing(previous)),
            (management, _) => management,
        };
        Self { management, wake: Arc::clone(&previous.wake), failpoints: previous.failpoints.clone(), ..self }
    }

    /// Kills this process at a failpoint, for crash tests.
    #[cfg(feature = "standin")]
    #[must_use]
    pub fn with_failpoints(self, failpoints: Failpoints) -> Self {
        Self { failpoints, ..self }
    }

    /// Whether the settings name a management API. Without one, no biller can be enabled.
    pub fn is_configured(&self) -> bool {
        self.management.is_some()
    }

    pub(super) fn system_actor(&self) -> ActorContext {
        ActorContext::new(Actor::System, &self.clock, &self.random)
    }

    pub(super) async fn biller(&self, slug: &Slug) -> Result<Arc<Biller>, ProvisioningError> {
        self.directory.biller_by_slug(slug).await?.ok_or_else(|| ProvisioningError::BillerNotFound(slug.clone()))
    }

    /// The pool of a biller's users, if an enablement job created it.
    pub(super) async fn user_pool(&self, biller: &BillerId) -> Result<Option<UserPoolRef>, DbError> {
        let Some(row) = self.db.one(USER_POOL, values![biller.as_str()]).await? else { return Ok(None) };
        let sso = CiamMode::parse(&row.text("mode")?) == Some(CiamMode::Sso);
        Ok(Some(UserPoolRef { organization: row.text("organization")?, pool: row.text("pool")?, sso }))
    }

    /// The management API and the pool of a biller's users.
    pub(super) async fn require_user_pool(
        &self,
        biller: &Biller,
    ) -> Result<(&Management, UserPoolRef), ProvisioningError> {
        let management = self.management.as_ref().ok_or(ProvisioningError::NotConfigured)?;
        let user_pool = self.user_pool(&biller.id).await?;
        Ok((management, user_pool.ok_or_else(|| ProvisioningError::NotProvisioned(biller.slug.clone()))?))
    }
}
