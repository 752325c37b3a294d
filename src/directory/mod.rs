//! Billers, users and memberships, and the lookup of usernames.

mod billers;
mod error;
mod lookup;
mod outbox;
mod users;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use billers::import as import_billers;
use billers::store;
pub use billers::{
    ApprovalOutcome, ApprovalRefusal, Biller, BillerPatch, BillerSettings, Billers, BindTo, Branding, BrandingPatch,
    ClientSecrets, Colours, FAILURES_TO_OPEN, IssuerEndpoint, IssuerStatus, Logo, LogoSource, MAX_SEARCH_RESULTS,
    Maintenance, OidcSettings, PasswordCarryOver, PendingChange, ResponseMode, Support, TokenAuth, UserPoolRef,
};
pub use error::DirectoryError;
pub use lookup::UsernameLookup;
pub use outbox::{Backlog, LeasedUserChange, UserChangeQueue};
pub use users::import::is_mail_address;
pub use users::{
    BillerScope, IdentityError, MemberRange, Membership, MembershipChange, NewUser, PinnedSubject, QueuedChange,
    SubjectMatch, Tally, User, UserContact, UserFilter, UserRecord, UserStatus, UserTraces, UserUpdate, UserWriteError,
    UsernameMemberships, UsernamePage, WriteContext, import as import_users, pin_subject,
};

use crate::db::{ChangeCounter, Db, DbError, Tx};

/// The database is the source of truth. Billers are cached until their revision in the database changes.
#[derive(Clone, Debug)]
pub struct Directory {
    db: Db,
    snapshot: Arc<RwLock<Snapshot>>,
    changes: Arc<ChangeCounter>,
}

/// The billers as last read.
#[derive(Debug, Default)]
struct Snapshot {
    billers: Arc<Billers>,
    check: Option<Check>,
}

/// When the revision was read. A change that ended later may not be in the snapshot.
#[derive(Clone, Copy, Debug)]
struct Check {
    /// Changes of this process that had ended. `None` while one was open.
    changes: Option<u64>,
    at: Instant,
}

/// How old a snapshot may be. A change by another process applies within a second (Ruling 32), by this one at once.
const MAX_SNAPSHOT_AGE: Duration = Duration::from_millis(500);

impl Directory {
    pub fn new(db: Db) -> Self {
        Self { db, snapshot: Arc::default(), changes: Arc::default() }
    }

    /// The current billers: changes of this process at once, those of others within half a second.
    pub async fn billers(&self) -> Result<Arc<Billers>, DirectoryError> {
        let check = self.begin_check();
        {
            let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
            let is_current = |last: Check| {
                check.changes.is_some()
                    && last.changes == check.changes
                    && check.at.saturating_duration_since(last.at) < MAX_SNAPSHOT_AGE
            };
            if snapshot.check.is_some_and(is_current) {
                return Ok(Arc::clone(&snapshot.billers));
            }
        }
        self.read_billers(check).await
    }

    /// Reads the changes of other processes too. Needed where a biller that another process has just created must be found.
    pub async fn refresh(&self) -> Result<Arc<Billers>, DirectoryError> {
        self.read_billers(self.begin_check()).await
    }

    async fn read_billers(&self, check: Check) -> Result<Arc<Billers>, DirectoryError> {
        let revision = store::revision(&self.db).await?;
        self.billers_at(revision, check).await
    }

    /// Waits until the snapshots of all processes are younger than the changes that were made before. A command that ends after
    /// this has its effect everywhere.
    pub async fn wait_for_other_processes(&self) {
        tokio::time::sleep(MAX_SNAPSHOT_AGE).await;
    }

    /// The cached billers, without a query: for pages that must work while the database is unavailable.
    pub fn last_known_billers(&self) -> Arc<Billers> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner).billers)
    }

    /// All billers as they are now or, while the database is down, as last read.
    pub async fn billers_or_last_known(&self) -> Arc<Billers> {
        self.billers().await.unwrap_or_else(|_| self.last_known_billers())
    }

    /// Why nothing can be written, although everything can be read.
    pub fn write_refusal(&self) -> Option<&'static str> {
        self.db.write_refusal()
    }

    /// Begins a check of the snapshot, before the revision is read.
    fn begin_check(&self) -> Check {
        Check { changes: self.changes.settled(), at: Instant::now() }
    }

    /// The billers at a revision that was read after the check began.
    async fn billers_at(&self, revision: i64, check: Check) -> Result<Arc<Billers>, DirectoryError> {
        let known = self.last_known_billers();
        let billers = if known.revision() == revision { known } else { Arc::new(store::load_billers(&self.db).await?) };
        let mut snapshot = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        // A request that waited for its query must not bring back what a later one replaced.
        if snapshot.check.is_none_or(|last| last.at <= check.at) {
            *snapshot = Snapshot { billers: Arc::clone(&billers), check: Some(check) };
        }
        Ok(billers)
    }

    /// Every change of billers begins with this: it serializes writers, and readers see that their copy is outdated.
    async fn bump(&self, tx: &mut Tx) -> Result<(), DbError> {
        tx.count_change(&self.changes);
        store::bump(tx).await
    }

    /// A biller's logo, as a PNG.
    pub async fn logo(&self, biller: &Biller) -> Result<Option<Vec<u8>>, DirectoryError> {
        let Some(logo) = &biller.branding.logo else { return Ok(None) };
        let picture = store::logo(&self.db, &biller.id, &logo.hash).await?;
        let decode = |picture: String| STANDARD.decode(picture).map_err(|error| store::corrupt(&error.to_string()));
        picture.map(decode).transpose()
    }
}
