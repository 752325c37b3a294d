//! The stand-ins around the gateway.

use serde_json::json;

use super::{Ports, TENANT, World, client_id, client_secret, service_secret};
use crate::{
    ApiClients, BillerPortal, IdpUser, IssuerState, LegacyPortal, Mailbox, Organization, SecureAuth, SecureAuthStandIn,
    ServiceClient,
};

/// The organization of the staff, who use the console.
pub const STAFF: &str = "staff";
/// The usernames of the staff, which are their roles as well.
pub const STAFF_ROLES: [&str; 3] = ["support", "operator", "auditor"];

impl World {
    pub fn secureauth(&self, password_hash: &str) -> SecureAuth {
        let client = |id: &str| Some(ServiceClient { id: id.to_owned(), secret: service_secret(id) });
        SecureAuth {
            tenant: TENANT.to_owned(),
            password_hash: password_hash.to_owned(),
            organizations: self.organizations(),
            api: Some(ApiClients { system: client("signpost-system"), admin: client("signpost-admin") }),
        }
    }

    fn organizations(&self) -> Vec<Organization> {
        let gateway = &self.addresses.gateway;
        let with_state = self.billers.iter().filter_map(|biller| Some((biller, biller.organization?)));
        with_state
            .map(|(biller, state)| Organization {
                id: biller.slug.clone(),
                name: biller.name.clone(),
                state,
                client_id: client_id(&biller.slug),
                client_secret: client_secret(&biller.slug),
                redirect_uris: vec![format!("{gateway}/callback/{}", biller.slug)],
                post_logout_redirect_uris: vec![format!("{gateway}/signed-out")],
                users: self.users_of(&biller.slug),
            })
            .collect()
    }

    pub fn legacy_portal(&self, password_hash: &str, api_key: &str, mailbox: Mailbox) -> LegacyPortal {
        LegacyPortal {
            gateway: self.addresses.gateway.clone(),
            api_key: api_key.to_owned(),
            password_hash: password_hash.to_owned(),
            usernames: self.users.iter().map(|user| user.username.clone()).collect(),
            mailbox,
        }
    }

    pub fn biller_portal(&self, api_key: &str) -> BillerPortal {
        BillerPortal {
            gateway: self.addresses.gateway.clone(),
            api_key: api_key.to_owned(),
            billers: self.billers.iter().map(|biller| (biller.slug.clone(), biller.name.clone())).collect(),
        }
    }
}

/// The organization where the staff signs in to the console.
pub fn staff(ports: Ports) -> Organization {
    let users = STAFF_ROLES.map(|role| IdpUser {
        username: role.to_owned(),
        name: format!("Demo {role}"),
        email: format!("{role}@example-pay.example"),
    });
    Organization {
        id: STAFF.to_owned(),
        name: "Example Pay staff".to_owned(),
        state: IssuerState::Up,
        client_id: client_id(STAFF),
        client_secret: client_secret(STAFF),
        redirect_uris: vec![format!("{}/callback", ports.console_address())],
        post_logout_redirect_uris: Vec::new(),
        users: users.into(),
    }
}

/// Adds the claim `roles` to the ID tokens of the staff.
pub fn assign_roles(secureauth: &SecureAuthStandIn) {
    for role in STAFF_ROLES {
        secureauth.set_claim(STAFF, role, "roles", json!([role]));
    }
}
