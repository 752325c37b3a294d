//! Billers, users and memberships, and the lookup of usernames.

pub mod billers;
mod branding;
mod branding_input;
mod changes;
mod health;
pub mod import_billers;
mod lookup;
mod outbox;
mod pending;
mod search;
mod snapshot;
mod store;
mod users;

use std::sync::{Arc, RwLock};

pub use billers::{
    Biller, BillerSettings, BindTo, Maintenance, OidcSettings, PasswordCarryOver, Support, TokenAuth, UserPoolRef,
};
pub use branding::{Branding, Colours, Logo};
pub use health::{FAILURES_TO_OPEN, IssuerEndpoint, IssuerStatus};
pub use lookup::UsernameLookup;
pub use outbox::{Backlog, LeasedUserChange, UserChangeQueue};
pub use pending::{ApprovalOutcome, PendingChange};
pub use search::MAX_SEARCH_RESULTS;
pub use snapshot::Billers;
pub use users::import::is_mail_address;
pub use users::{
    BillerScope, IdentityError, MemberRange, MembershipChange, NewUser, SubjectMatch, Tally, User, UserContact,
    UserFilter, UserRecord, UserStatus, UserUpdate, UserWriteError, UsernameMemberships, UsernamePage, WriteContext,
    import as import_users,
};

use crate::db::{Db, DbError};

/// The database is the source of truth. Billers are cached until their revision in the database changes.
#[derive(Clone, Debug)]
pub struct Directory {
    db: Db,
    billers: Arc<RwLock<Arc<Billers>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("a stored record cannot be read: {0}")]
    Corrupt(String),
}

impl Directory {
    pub fn new(db: Db) -> Self {
        Self { db, billers: Arc::default() }
    }

    /// The current billers.
    pub async fn billers(&self) -> Result<Arc<Billers>, DirectoryError> {
        let revision = store::revision(&self.db).await?;
        self.billers_at(revision).await
    }

    /// The cached billers, without a query: for pages that must work while the database is unavailable.
    pub fn last_known_billers(&self) -> Arc<Billers> {
        self.billers.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// All billers as they are now or, while the database is down, as last read.
    pub async fn billers_or_last_known(&self) -> Arc<Billers> {
        self.billers().await.unwrap_or_else(|_| self.last_known_billers())
    }

    async fn billers_at(&self, revision: i64) -> Result<Arc<Billers>, DirectoryError> {
        let known = self.last_known_billers();
        if known.revision() == revision {
            return Ok(known);
        }
        let fresh = Arc::new(store::load_billers(&self.db).await?);
        *self.billers.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::clone(&fresh);
        Ok(fresh)
    }
}
