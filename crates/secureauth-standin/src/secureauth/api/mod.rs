//! Stand-in of SecureAuth's management API: organizations, pools, users, connections, clients, claims, the bulk import.
//!
//! What the vendor documents is kept to. Where nothing is documented the choice is ours, and stands at the place.

mod activation;
mod addresses;
mod audit;
mod claims;
mod clients;
mod faults;
mod idps;
mod import;
mod journal;
mod objects;
mod organizations;
mod passwords;
mod pool_users;
mod pools;
mod response;
mod routes;
mod tokens;
mod users;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

pub use self::faults::{Fault, FaultRule, Faults, RetryAfter};
pub use self::journal::ApiCall;
pub use self::passwords::{Mail, MailKind};
pub(super) use self::routes::{handle, is_api};
pub use self::tokens::{ApiClients, ServiceClient};

pub(super) use self::audit::{AuditEvent, record_event};
pub(super) use self::clients::OidcClient;
pub(super) use self::passwords::Ticket;
pub(super) use self::pool_users::{PoolUser, set_password};

use self::journal::Journal;
use self::objects::Objects;
use self::routes::Replays;
use self::tokens::ApiToken;
use super::Organization;
use crate::store::{Store, lock};

/// The management API at work.
pub(super) struct Api {
    service_clients: Option<ApiClients>,
    objects: Mutex<Objects>,
    tokens: Mutex<HashMap<String, ApiToken>>,
    replays: Replays,
    mails: Mutex<Vec<Mail>>,
    /// Pages for a new password that wait for their form.
    tickets: Store<Ticket>,
    events: audit::Events,
    pub(super) journal: Journal,
    pub(super) faults: Faults,
}

impl Api {
    /// With the organizations there are from the start and their clients; without service clients there is no API.
    pub(super) fn new(tenant: &str, service_clients: Option<ApiClients>, organizations: &[Organization]) -> Self {
        let mut objects = Objects::default();
        for organization in organizations {
            organizations::seed(&mut objects, organization);
            clients::seed(&mut objects, tenant, organization);
        }
        Self {
            service_clients,
            objects: Mutex::new(objects),
            tokens: Mutex::default(),
            replays: Replays::default(),
            mails: Mutex::default(),
            tickets: Store::default(),
            events: audit::Events::default(),
            journal: Journal::default(),
            faults: Faults::default(),
        }
    }

    /// Ids of all objects by kind.
    pub(super) fn snapshot(&self) -> serde_json::Value {
        self.objects().snapshot()
    }

    /// The mails sent, the oldest first.
    pub(super) fn mails(&self) -> Vec<Mail> {
        lock(&self.mails).clone()
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        lock(&self.objects)
    }
}
