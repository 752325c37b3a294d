//! SecureAuth's management API: organizations, pools, connections, clients, claims, users and imports.
//!
//! Objects are looked up by exact id, never by SecureAuth's search, which matches parts of names. The caller chooses ids and
//! records them before a call, so that an object can be looked up if the response was lost.

mod audit;
mod calls;
mod client;
mod clients;
mod config;
mod connections;
mod dump;
mod endpoints;
mod error;
mod export;
mod imports;
mod organizations;
mod passwords;
mod policy;
mod pools;
mod requests;
mod tokens;
mod users;

pub use audit::{SecureAuthEvent, SecureAuthEventQuery};
pub use client::Management;
pub use clients::NewClient;
pub use config::{ManagementConfig, ServiceClient};
pub use dump::{Dump, DumpAddress, DumpCredential, DumpIdentifier, DumpNames, DumpUser, Empty, Entry};
pub use error::{CallError, Rejection};
pub use export::ExportError;
pub use imports::ImportCall;
pub use organizations::Organization;
pub use policy::{PasswordPolicy, Strength};
pub use pools::{NewPool, Pool, PoolSettings};
pub use users::{Address, Identifier, PoolUser};
