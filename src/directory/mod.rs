//! Billers, users and memberships, and the lookup of usernames.

mod billers;
mod error;
mod lookup;
mod outbox;
mod users;

use std::sync::{Arc, RwLock};

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
    BillerScope, IdentityError, MemberRange, MembershipChange, NewUser, SubjectMatch, Tally, User, UserContact,
    UserFilter, UserRecord, UserStatus, UserUpdate, UserWriteError, UsernameMemberships, UsernamePage, WriteContext,
    import as import_users,
};

use crate::db::Db;

/// The database is the source of truth. Billers are cached until their revision in the database changes.
#[derive(Clone, Debug)]
pub struct Directory {
    db: Db,
    billers: Arc<RwLock<Arc<Billers>>>,
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

    /// A biller's logo, as a PNG.
    pub async fn logo(&self, biller: &Biller) -> Result<Option<Vec<u8>>, DirectoryError> {
        let Some(logo) = &biller.branding.logo else { return Ok(None) };
        let picture = store::logo(&self.db, &biller.id, &logo.hash).await?;
        let decode = |picture: String| STANDARD.decode(picture).map_err(|error| store::corrupt(&error.to_string()));
        picture.map(decode).transpose()
    }
}
