//! The management API: organizations, pools, users, connections, clients, claims, the bulk import.

mod activation;
mod addresses;
mod call;
mod claims;
mod client_secrets;
mod clients;
mod events;
mod fault_responses;
mod identifiers;
mod idps;
mod import;
mod import_entries;
mod import_mode;
mod organizations;
mod password_checks;
mod passwords;
mod pools;
mod resets;
mod routes;
mod tokens;
mod user_json;
mod users;

pub(crate) mod handler;
pub(crate) mod pool_users;

pub(crate) use self::claims::configured_claims;
pub(crate) use self::clients::{OidcClient, oidc_client};
pub(crate) use self::events::{AuditEvent, record_event};
