//! Billers, users, memberships, and the lookup that routing uses.

mod billers;
mod contacts;
mod error;
pub mod import_users;
mod integrity;
mod listing;
mod lookup;
mod member_pages;
mod members;
mod outbox;
mod subjects;
mod user_writes;
pub mod users;

use std::sync::{Arc, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use billers::import as import_billers;
use billers::store;
pub use billers::{
    ApprovalOutcome, Biller, BillerPatch, BillerSettings, Billers, BindTo, Branding, BrandingPatch, ClientSecrets,
    Colours, FAILURES_TO_OPEN, Health, IssuerEndpoint, Logo, LogoSource, MAX_SEARCH_RESULTS, Maintenance, OidcSettings,
    PasswordCarryOver, PendingChange, ResponseMode, Support, TokenAuth, UserPoolRef,
};
pub use contacts::UserContact;
pub use error::DirectoryError;
pub use import_users::is_mail_address;
pub use listing::{UserFilter, UserRecord};
pub use lookup::UsernameLookup;
pub use member_pages::{MemberRange, UsernameMemberships, UsernamePage};
pub use members::{BillerScope, IdentityError, MembershipChange, Tally};
pub use outbox::{Backlog, LeasedUserChange};
pub use subjects::SubjectMatch;
pub use user_writes::{NewUser, UserUpdate, UserWriteError, WriteContext};
pub use users::{User, UserStatus};

use crate::db::Db;

/// The directory. Billers are kept in memory and read again when the database has another revision.
#[derive(Clone, Debug)]
pub struct Directory {
    db: Db,
    billers: Arc<RwLock<Arc<Billers>>>,
}

impl Directory {
    pub fn new(db: Db) -> Self {
        Self { db, billers: Arc::default() }
    }

    pub async fn billers(&self) -> Result<Arc<Billers>, DirectoryError> {
        let revision = store::revision(&self.db).await?;
        self.billers_at(revision).await
    }

    /// Billers as last read, without a query: for pages that must work while the database is down.
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

    /// A biller's logo, as a PNG.
    pub async fn logo(&self, biller: &Biller) -> Result<Option<Vec<u8>>, DirectoryError> {
        let Some(logo) = &biller.branding.logo else { return Ok(None) };
        let picture = store::logo(&self.db, &biller.id, &logo.hash).await?;
        let decode = |picture: String| STANDARD.decode(picture).map_err(|error| store::corrupt(&error.to_string()));
        picture.map(decode).transpose()
    }
}
