//! SecureAuth's management API: organizations, pools, connections, clients, claims, users, bulk import.
//!
//! Things are found by their exact id, never by the vendor's searches, which match parts of names. Ids are chosen by the
//! caller and written down before a call, so that a call whose answer was lost can be looked up.

mod calls;
mod objects;
mod tokens;

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

pub use calls::{CallError, Refusal};
pub use objects::{Dump, NewClient, Organization, Pool};

use self::tokens::Tokens;
use super::Http;
use crate::config::{ImportPath, PathMode};
use crate::kernel::{Clock, Random};

/// Whose token a call needs (and whose API it is).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Workspace {
    System,
    Admin,
}

/// A service client of one of the two special workspaces.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
}

/// Where the management API is, and who we are there.
#[derive(Clone, Debug)]
pub struct Place {
    /// Such as `https://tenant.us.connect.secureauth.com`.
    pub base: Url,
    /// Tenant id.
    pub tenant: String,
    /// How addresses are made.
    pub paths: PathMode,
    /// Where users are imported.
    pub import: ImportPath,
    /// Client of the System workspace.
    pub system: ServiceClient,
    /// Client of the Admin workspace.
    pub admin: ServiceClient,
}

/// The management API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Management {
    http: Http,
    place: Arc<Place>,
    tokens: Tokens,
    clock: Clock,
    random: Random,
}

impl Management {
    /// At a place.
    pub fn new(http: Http, place: Place, clock: Clock, random: Random) -> Self {
        Self { http, place: Arc::new(place), tokens: Tokens::default(), clock, random }
    }

    /// The tenant's id.
    pub fn tenant(&self) -> &str {
        &self.place.tenant
    }
}
