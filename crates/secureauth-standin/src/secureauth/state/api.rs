//! State of the management API.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};

use super::faults::Faults;
use super::journal::Journal;
use super::mail::{Mail, Ticket};
use super::objects::{Objects, seeded_client_key, to_object};
use super::records::Resource;
use crate::secureauth::config::{ApiClients, Organization};
use crate::secureauth::response::ApiResponse;
use crate::store::{Store, lock};
use signpost_core::{Random, Timestamp};

/// The two workspaces of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workspace {
    System,
    Admin,
}

/// An access token of the API.
pub(crate) struct ApiToken {
    pub workspace: Workspace,
    pub scope: String,
    pub expires: Timestamp,
    /// Must equal [`Faults::generation`].
    pub generation: u64,
}

pub(crate) struct Api {
    pub service_clients: Option<ApiClients>,
    objects: Mutex<Objects>,
    pub tokens: Mutex<HashMap<String, ApiToken>>,
    /// Responses and when they expire, by path and idempotency key.
    pub replays: Mutex<HashMap<String, (Timestamp, ApiResponse)>>,
    pub mails: Mutex<Vec<Mail>>,
    /// Forms for a new password that are still open.
    tickets: Store<Ticket>,
    /// Audit events, the oldest first.
    pub events: Mutex<Vec<Value>>,
    pub journal: Journal,
    pub faults: Faults,
}

impl Api {
    /// The API with the configured organizations and their clients.
    pub(crate) fn new(tenant: &str, service_clients: Option<ApiClients>, organizations: &[Organization]) -> Self {
        let mut objects = Objects::default();
        for organization in organizations {
            seed(&mut objects, tenant, organization);
        }
        Self {
            service_clients,
            objects: Mutex::new(objects),
            tokens: Mutex::default(),
            replays: Mutex::default(),
            mails: Mutex::default(),
            tickets: Store::default(),
            events: Mutex::default(),
            journal: Journal::default(),
            faults: Faults::default(),
        }
    }

    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        lock(&self.objects)
    }

    pub(crate) fn issue_ticket(&self, random: &Random, ticket: Ticket) -> String {
        let id = random.token::<32>();
        self.tickets.insert(id.clone(), ticket);
        id
    }

    /// Consumes a ticket.
    pub(crate) fn redeem_ticket(&self, id: &str) -> Option<Ticket> {
        self.tickets.take(id)
    }
}

fn seed(objects: &mut Objects, tenant: &str, organization: &Organization) {
    let value = to_object(json!({ "id": organization.id, "name": organization.name }));
    let version = objects.version();
    objects.organizations.insert(organization.id.clone(), Resource { value, version });
    let id = &organization.client_id;
    let value = to_object(json!({
        "client_id": id,
        "client_secret": organization.client_secret,
        "tenant_id": tenant,
        "authorization_server_id": organization.id,
        "redirect_uris": organization.redirect_uris,
        "post_logout_redirect_uris": organization.post_logout_redirect_uris,
    }));
    let version = objects.version();
    let key = if objects.clients.contains_key(id) { seeded_client_key(&organization.id, id) } else { id.clone() };
    objects.clients.insert(key, Resource { value, version });
}
