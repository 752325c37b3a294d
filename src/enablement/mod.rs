//! Moving a biller: the durable job that makes its organization, pool, login client and users at SecureAuth and then switches
//! its routing, or leaves nothing behind.
//!
//! Every object is written into the ledger before the call that makes it, under an id chosen here, so that whoever goes on
//! after a kill can ask for exactly that id. One worker at a time owns a job: by a lease, and by a fence that grows with each
//! owner and stands in every write, so that an owner that slept through its lease writes nothing any more.

mod forward;
mod history;
mod ledger;
mod mirror;
mod outbox;
mod passwords;
mod points;
mod readiness;
mod sending;
mod settings;
mod shown;
mod sync;
mod things;
mod undo;
mod users;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use ledger::{Job, JobState, Step, StepState};
pub use mirror::BringError;
pub use readiness::{Level, Line, Readiness, advice};
pub use settings::Kept;
pub use sync::{Drift, SyncError};

use crate::audit::{Act, Action, Actor, By};
use crate::config::Config;
use crate::db::{Db, DbError};
use crate::directory::{Biller, Directory, DirectoryError, PasswordCarryOver};
use crate::secureauth::Providers;
use crate::secureauth::management::{CallError, Management};
use signpost_core::decision::CiamState;
use signpost_core::{Clock, KeyRing, Random, Slug};

/// How a biller's users sign in, once moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CiamMode {
    /// Accounts hosted by SecureAuth, password only.
    #[default]
    Password,
    /// Password and a second factor.
    Mfa,
    /// At the biller's own identity provider.
    Sso,
}

impl CiamMode {
    /// The mode as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Mfa => "mfa",
            Self::Sso => "sso",
        }
    }

    /// Reads a mode as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Password, Self::Mfa, Self::Sso].into_iter().find(|mode| mode.as_str() == text)
    }

    /// First and second factors of the pool.
    fn mechanisms(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Password => (&["password"], &[]),
            Self::Mfa => (&["password"], &["email_otp", "totp"]),
            Self::Sso => (&[], &[]),
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    /// How its users will sign in.
    pub mode: CiamMode,
    /// Whether passwords come along.
    pub passwords: PasswordCarryOver,
}

/// Shown before a biller is enabled.
pub const CONFIRM: &str = "Enabling CIAM will initiate the creation of your organization and all its associated users in \
     SecureAuth. Please wait while the setup completes.";
/// Shown when it went well.
pub const SUCCESS: &str = "Organization and users successfully created in SecureAuth.";
/// Shown when it did not, with a reference code.
pub const FAILURE: &str = "An error occurred during Organization or user creation. Please contact support.";

/// Why a job could not be started or turned back.
#[derive(Debug, thiserror::Error)]
pub enum EnableError {
    /// The settings name no management API.
    #[error("the settings have no [secureauth] section")]
    NotConfigured,
    /// There is no such biller.
    #[error("there is no biller {0}")]
    NoSuchBiller(Slug),
    /// Its users are not in a pool of ours.
    #[error("{0} was not moved by Signpost: its users at SecureAuth are kept by others")]
    NoPool(Slug),
    /// What a job made is not there any more.
    #[error("the {what} {id} is gone: enable the biller anew")]
    Gone {
        /// Organization or pool.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The biller's state does not allow it.
    #[error("{slug} is {state}: {hint}")]
    WrongState {
        /// The biller.
        slug: Slug,
        /// Its state.
        state: &'static str,
        /// What can be done instead.
        hint: &'static str,
    },
    /// Users that cannot be taken along.
    #[error("{count} user(s) cannot be taken along: {}", .shown.join(", "))]
    Unfit {
        /// How many.
        count: usize,
        /// The first of them.
        shown: Vec<String>,
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

impl From<DbError> for EnableError {
    fn from(error: DbError) -> Self {
        Self::Directory(error.into())
    }
}

/// Everything that jobs need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Enablement {
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
pub struct Parts {
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

impl Enablement {
    /// By the settings.
    pub fn new(parts: Parts, config: &Config) -> Self {
        let Parts { db, directory, management, providers, keys, clock, random } = parts;
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
    pub async fn start(&self, slug: &Slug, order: Order, by: &By) -> Result<Job, EnableError> {
        if self.management.is_none() {
            return Err(EnableError::NotConfigured);
        }
        let biller = self.biller(slug).await?;
        if let Some(job) = ledger::open_job(&self.db, &biller.id).await? {
            return Ok(job);
        }
        let wrong = |hint| EnableError::WrongState { slug: slug.clone(), state: biller.state.as_str(), hint };
        match biller.state {
            CiamState::Legacy | CiamState::Enabling => {}
            CiamState::Active => return Err(wrong("it is moved already")),
            CiamState::Suspended => return Err(wrong("`signpost resume` switches it on again")),
        }
        users::check_all(&self.db, &biller.id).await?;
        ledger::create(self, &biller, order, by).await
    }

    /// Turns the job of a biller back; answers it, if there is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn turn_back(&self, slug: &Slug, by: &By) -> Result<Option<Job>, EnableError> {
        let biller = self.biller(slug).await?;
        ledger::turn_back(&self.db, &biller, by).await?;
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
        ledger::latest(&self.db).await
    }

    /// How many jobs there are in each state.
    ///
    /// # Errors
    /// The database failed.
    pub async fn jobs_by_state(&self) -> Result<BTreeMap<&'static str, i64>, DbError> {
        ledger::by_state(&self.db).await
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
    pub async fn suspend(&self, slug: &Slug, by: &By) -> Result<(), EnableError> {
        self.switch(slug, (CiamState::Active, CiamState::Suspended), (by, Action::CiamSuspended)).await?;
        self.switch_organization(slug, true).await
    }

    /// Switches a suspended biller on again: its organization first.
    ///
    /// # Errors
    /// The biller is not suspended, or SecureAuth could not be told: nothing is switched then.
    pub async fn resume(&self, slug: &Slug, by: &By) -> Result<(), EnableError> {
        self.switch_organization(slug, false).await?;
        self.switch(slug, (CiamState::Suspended, CiamState::Active), (by, Action::CiamResumed)).await
    }

    async fn switch(
        &self,
        slug: &Slug,
        (from, to): (CiamState, CiamState),
        (by, action): (&By, Action),
    ) -> Result<(), EnableError> {
        let mut found = None;
        let change = |biller: &mut Biller| {
            found = Some(biller.state);
            biller.state = to;
        };
        let mut tx = self.db.begin().await?;
        self.directory.change_biller_in(&mut tx, slug, (by, Act::of(action)), change).await?;
        match found {
            None => Err(EnableError::NoSuchBiller(slug.clone())),
            Some(state) if state == from => Ok(tx.commit().await?),
            Some(state) if state == to => Ok(()),
            Some(state) => {
                let hint = "only a moved biller can be switched off and on";
                Err(EnableError::WrongState { slug: slug.clone(), state: state.as_str(), hint })
            }
        }
    }

    /// What a job does by itself.
    fn by_itself(&self) -> By {
        By::new(Actor::System, &self.clock, &self.random)
    }

    /// Tells SecureAuth, where the biller was moved by a job of ours.
    async fn switch_organization(&self, slug: &Slug, off: bool) -> Result<(), EnableError> {
        let biller = self.biller(slug).await?;
        let Some(organization) = ledger::organization_of(&self.db, &biller.id).await? else { return Ok(()) };
        let management = self.management.as_ref().ok_or(EnableError::NotConfigured)?;
        Ok(management.deactivate_organization(&organization, off).await?)
    }

    async fn biller(&self, slug: &Slug) -> Result<std::sync::Arc<Biller>, EnableError> {
        self.directory.named(slug).await?.ok_or_else(|| EnableError::NoSuchBiller(slug.clone()))
    }
}
