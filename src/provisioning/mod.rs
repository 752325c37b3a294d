//! Moving a biller: the durable job that makes its organization, pool, login client and users at SecureAuth and then switches
//! its routing, or leaves nothing behind.
//!
//! Every object is written into the ledger before the call that makes it, under an id chosen here, so that whoever goes on
//! after a kill can ask for exactly that id. One worker at a time owns a job: by a lease, and by a fence that grows with each
//! owner and stands in every write, so that an owner that slept through its lease writes nothing any more.

mod failpoints;
mod history;
mod import_batches;
mod job_view;
mod ledger;
mod outbox;
mod passwords;
mod push;
mod readiness;
mod resources;
mod rollback;
mod settings;
mod steps;
mod sync;
mod users;
mod worker;

use std::collections::BTreeMap;
use std::time::Duration;

pub use ledger::{Job, JobState, Step, StepState};
pub use push::PushError;
pub use readiness::{CheckStatus, Readiness, ReadinessCheck, advice};
pub use settings::RemoteSetting;
pub use sync::{Drift, SyncError};

use crate::audit::{Action, Actor, ActorContext, AuditEvent};
use crate::config::Config;
use crate::db::{Db, DbError};
use crate::directory::{Biller, Directory, DirectoryError, PasswordCarryOver};
use crate::secureauth::Providers;
use crate::secureauth::management::{CallError, Management};
pub use signpost_core::decision::CiamMode;
use signpost_core::decision::CiamState;
use signpost_core::{Clock, KeyRing, Random, Slug};

/// The first and second factors of a pool.
fn mechanisms(mode: CiamMode) -> (&'static [&'static str], &'static [&'static str]) {
    match mode {
        CiamMode::Password => (&["password"], &[]),
        CiamMode::Mfa => (&["password"], &["email_otp", "totp"]),
        CiamMode::Sso => (&[], &[]),
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnablementOptions {
    /// How its users will sign in.
    pub mode: CiamMode,
    /// Whether passwords come along.
    pub passwords: PasswordCarryOver,
}

/// Shown before a biller is enabled.
pub const CONFIRM_MESSAGE: &str = "Enabling CIAM will initiate the creation of your organization and all its associated users in \
     SecureAuth. Please wait while the setup completes.";
/// Shown when it went well.
pub const SUCCESS_MESSAGE: &str = "Organization and users successfully created in SecureAuth.";
/// Shown when it did not, with a reference code.
pub const FAILURE_MESSAGE: &str = "An error occurred during Organization or user creation. Please contact support.";

/// Why a job could not be started or turned back.
#[derive(Debug, thiserror::Error)]
pub enum ProvisioningError {
    /// The settings name no management API.
    #[error("the settings have no [secureauth] section")]
    NotConfigured,
    /// There is no such biller.
    #[error("there is no biller {0}")]
    BillerNotFound(Slug),
    /// Its users are not in a pool of ours.
    #[error("{0} was not moved by Signpost: its users at SecureAuth are kept by others")]
    NotProvisioned(Slug),
    /// What a job made is not there any more.
    #[error("the {kind} {id} is gone: enable the biller anew")]
    ResourceMissing {
        /// Organization or pool.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The biller's state does not allow it.
    #[error("{slug} is {state}: {hint}")]
    InvalidState {
        /// The biller.
        slug: Slug,
        /// Its state.
        state: &'static str,
        /// What can be done instead.
        hint: &'static str,
    },
    /// Users that cannot be taken along.
    #[error("{count} user(s) cannot be taken along: {}", .examples.join(", "))]
    UnsupportedUsernames {
        /// How many.
        count: usize,
        /// The first of them.
        examples: Vec<String>,
    },
    /// A biller that is about to be activated is not ready.
    #[error("{0}")]
    NotReady(String),
    /// The directory or the database failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// SecureAuth.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<DbError> for ProvisioningError {
    fn from(error: DbError) -> Self {
        Self::Directory(error.into())
    }
}

/// Everything that jobs need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Provisioning {
    db: Db,
    directory: Directory,
    management: Option<Management>,
    providers: Providers,
    keys: KeyRing,
    clock: Clock,
    random: Random,
    public_url: url::Url,
    lease: Duration,
}

/// What enablement is built from.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The database.
    pub db: Db,
    /// Billers and users.
    pub directory: Directory,
    /// The management API, if the settings name one.
    pub management: Option<Management>,
    /// Asks whether issuers are ready.
    pub providers: Providers,
    /// Seals client secrets.
    pub keys: KeyRing,
    /// Time.
    pub clock: Clock,
    /// Makes ids and secrets.
    pub random: Random,
}

impl Provisioning {
    /// By the settings.
    pub fn new(deps: Deps, config: &Config) -> Self {
        let Deps { db, directory, management, providers, keys, clock, random } = deps;
        let lease = Duration::from_secs(config.secureauth.lease_seconds);
        Self {
            db,
            directory,
            management,
            providers,
            keys,
            clock,
            random,
            public_url: config.server.public_url.clone(),
            lease,
        }
    }

    /// Starts moving a biller; joins the job that is at it already. Nothing is called yet: a worker takes it up.
    ///
    /// # Errors
    /// The biller cannot be enabled as it is, or the database failed.
    pub async fn start(
        &self,
        slug: &Slug,
        options: EnablementOptions,
        actor: &ActorContext,
    ) -> Result<Job, ProvisioningError> {
        if self.management.is_none() {
            return Err(ProvisioningError::NotConfigured);
        }
        let biller = self.biller(slug).await?;
        if let Some(job) = ledger::open_job(&self.db, &biller.id).await? {
            return Ok(job);
        }
        let invalid_state =
            |hint| ProvisioningError::InvalidState { slug: slug.clone(), state: biller.state.as_str(), hint };
        match biller.state {
            CiamState::Legacy | CiamState::Enabling => {}
            CiamState::Active => return Err(invalid_state("it is moved already")),
            CiamState::Suspended => return Err(invalid_state("`signpost resume` switches it on again")),
        }
        users::check_usernames(&self.db, &biller.id).await?;
        ledger::create(self, &biller, options, actor).await
    }

    /// Turns the job of a biller back; answers it, if there is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cancel(&self, slug: &Slug, actor: &ActorContext) -> Result<Option<Job>, ProvisioningError> {
        let biller = self.biller(slug).await?;
        ledger::request_cancel(&self.db, &biller, actor).await?;
        Ok(ledger::open_job(&self.db, &biller.id).await?)
    }

    /// The job with this id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn job(&self, id: &str) -> Result<Option<Job>, DbError> {
        ledger::job(&self.db, id).await
    }

    /// The latest jobs, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn jobs(&self) -> Result<Vec<Job>, DbError> {
        ledger::latest_jobs(&self.db).await
    }

    /// How many jobs there are in each state.
    ///
    /// # Errors
    /// The database failed.
    pub async fn jobs_by_state(&self) -> Result<BTreeMap<&'static str, i64>, DbError> {
        ledger::count_by_state(&self.db).await
    }

    /// What a job has made, or is about to.
    ///
    /// # Errors
    /// The database failed.
    pub async fn steps(&self, job: &Job) -> Result<Vec<Step>, DbError> {
        ledger::steps(&self.db, &job.id).await
    }

    /// Switches a moved biller off without deleting anything, for the next request on; then its organization.
    ///
    /// # Errors
    /// The biller is not active; or the switch is made, and SecureAuth could not be told.
    pub async fn suspend(&self, slug: &Slug, actor: &ActorContext) -> Result<(), ProvisioningError> {
        self.transition(slug, (CiamState::Active, CiamState::Suspended), (actor, Action::CiamSuspended)).await?;
        self.set_organization_deactivated(slug, true).await
    }

    /// Switches a suspended biller on again: its organization first.
    ///
    /// # Errors
    /// The biller is not suspended, or SecureAuth could not be told: nothing is switched then.
    pub async fn resume(&self, slug: &Slug, actor: &ActorContext) -> Result<(), ProvisioningError> {
        self.set_organization_deactivated(slug, false).await?;
        self.transition(slug, (CiamState::Suspended, CiamState::Active), (actor, Action::CiamResumed)).await
    }

    async fn transition(
        &self,
        slug: &Slug,
        (from, to): (CiamState, CiamState),
        (actor, action): (&ActorContext, Action),
    ) -> Result<(), ProvisioningError> {
        let mut found = None;
        let change = |biller: &mut Biller| {
            found = Some(biller.state);
            biller.state = to;
        };
        let mut tx = self.db.begin().await?;
        self.directory.update_biller_in(&mut tx, slug, (actor, AuditEvent::new(action)), change).await?;
        match found {
            None => Err(ProvisioningError::BillerNotFound(slug.clone())),
            Some(state) if state == from => Ok(tx.commit().await?),
            Some(state) if state == to => Ok(()),
            Some(state) => {
                let hint = "only a moved biller can be switched off and on";
                Err(ProvisioningError::InvalidState { slug: slug.clone(), state: state.as_str(), hint })
            }
        }
    }

    /// What a job does by itself.
    fn system_actor(&self) -> ActorContext {
        ActorContext::new(Actor::System, &self.clock, &self.random)
    }

    /// Tells SecureAuth, where the biller was moved by a job of ours.
    async fn set_organization_deactivated(&self, slug: &Slug, deactivated: bool) -> Result<(), ProvisioningError> {
        let biller = self.biller(slug).await?;
        let Some(organization) = ledger::organization_id_of(&self.db, &biller.id).await? else { return Ok(()) };
        let management = self.management.as_ref().ok_or(ProvisioningError::NotConfigured)?;
        Ok(management.set_organization_deactivated(&organization, deactivated).await?)
    }

    async fn biller(&self, slug: &Slug) -> Result<std::sync::Arc<Biller>, ProvisioningError> {
        self.directory.biller_by_slug(slug).await?.ok_or_else(|| ProvisioningError::BillerNotFound(slug.clone()))
    }
}
