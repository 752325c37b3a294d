//! The body of SecureAuth's import (`TenantDump`).

use serde::Serialize;
use serde_json::Value;

/// At most a hundred users, with their identifiers, addresses and passwords.
#[derive(Debug, Default, Serialize)]
pub struct Dump<'a> {
    pub users: Vec<Entry<'a, DumpUser<'a>>>,
    pub user_identifiers: Vec<Entry<'a, DumpIdentifier<'a>>>,
    pub user_verifiable_addresses: Vec<Entry<'a, DumpAddress<'a>>>,
    pub user_credentials: Vec<Entry<'a, DumpCredential<'a>>>,
}

/// Fields that every entry has.
#[derive(Debug, Serialize)]
pub struct Entry<'a, T> {
    /// An entry with the same id replaces the former one.
    pub id: String,
    pub tenant_id: &'a str,
    pub user_pool_id: &'a str,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    #[serde(flatten)]
    pub fields: T,
}

#[derive(Debug, Serialize)]
pub struct DumpUser<'a> {
    /// `active` or `inactive`.
    pub status: &'static str,
    pub payload: DumpNames<'a>,
    pub metadata: &'a Value,
}

#[derive(Debug, Serialize)]
pub struct DumpNames<'a> {
    pub given_name: &'a str,
    pub family_name: &'a str,
}

#[derive(Debug, Serialize)]
pub struct DumpIdentifier<'a> {
    pub user_id: &'a str,
    /// `uid`, `email`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub identifier: &'a str,
    pub identifier_lc: String,
    pub metadata: Empty,
}

#[derive(Debug, Serialize)]
pub struct DumpAddress<'a> {
    pub user_id: &'a str,
    /// `email`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `active`
    pub status: &'static str,
    pub verified: bool,
    pub address: &'a str,
    pub address_lc: String,
    pub metadata: Empty,
}

#[derive(Debug, Serialize)]
pub struct DumpCredential<'a> {
    pub user_id: &'a str,
    /// `password`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `valid`
    pub state: &'static str,
    /// The hash and its algorithm.
    pub payload: Value,
}

/// An empty JSON object.
#[derive(Debug, Serialize)]
pub struct Empty {}
