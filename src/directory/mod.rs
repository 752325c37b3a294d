//! Billers, users, memberships, and the one look-up that routing stands on.

pub mod billers;
mod branding;
mod branding_input;
mod changes;
mod contacts;
mod health;
pub mod import_billers;
pub mod import_users;
mod integrity;
mod listing;
mod lookup;
mod member_pages;
mod members;
mod outbox;
mod pending;
mod search;
mod snapshot;
mod store;
mod subjects;
mod user_writes;
pub mod users;

use std::sync::{Arc, RwLock};

pub use billers::{
    Biller, BillerSettings, BindTo, Maintenance, OidcSettings, PasswordCarryOver, Support, TokenAuth, UserPoolRef,
};
pub use branding::{Branding, Colours, Logo};
pub use contacts::UserContact;
pub use health::{FAILURES_TO_OPEN, Health, IssuerEndpoint};
pub use import_users::is_mail_address;
pub use listing::{UserFilter, UserRecord};
pub use lookup::UsernameLookup;
pub use member_pages::{MemberRange, UsernameMemberships, UsernamePage};
pub use members::{BillerScope, IdentityError, MembershipChange, Tally};
pub use outbox::{Backlog, LeasedUserChange, UserChangeQueue};
pub use pending::{ApprovalOutcome, PendingChange};
pub use search::MAX_SEARCH_RESULTS;
pub use snapshot::Billers;
pub use subjects::SubjectMatch;
pub use user_writes::{NewUser, UserUpdate, UserWriteError, WriteContext};
pub use users::{User, UserStatus};

use crate::db::{Db, DbError};

/// The directory: the truth is in the database, billers are kept in memory as long as their revision is the database's.
#[derive(Clone, Debug)]
pub struct Directory {
    db: Db,
    billers: Arc<RwLock<Arc<Billers>>>,
}

/// What went wrong with the directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A stored record cannot be read.
    #[error("a stored record cannot be read: {0}")]
    Corrupt(String),
}

impl Directory {
    /// A directory on a database whose schema is up to date.
    pub fn new(db: Db) -> Self {
        Self { db, billers: Arc::default() }
    }

    /// All billers as they are now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn billers(&self) -> Result<Arc<Billers>, DirectoryError> {
        let revision = store::revision(&self.db).await?;
        self.billers_at(revision).await
    }

    /// Billers as last read, without asking the database: for pages that must work while it is down.
    pub fn last_known_billers(&self) -> Arc<Billers> {
        self.billers.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
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
