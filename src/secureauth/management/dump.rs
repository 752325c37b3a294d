//! Users with all that belongs to them, as the vendor's import takes them (`TenantDump`).

use serde::Serialize;
use serde_json::Value;

/// At most a hundred users, with what belongs to them.
#[derive(Debug, Default, Serialize)]
pub struct Dump<'a> {
    /// The users themselves.
    pub users: Vec<Entry<'a, DumpUser<'a>>>,
    /// What they are found by.
    pub user_identifiers: Vec<Entry<'a, DumpIdentifier<'a>>>,
    /// Where they get mail.
    pub user_verifiable_addresses: Vec<Entry<'a, DumpAddress<'a>>>,
    /// Their passwords.
    pub user_credentials: Vec<Entry<'a, DumpCredential<'a>>>,
}

/// What every entry has.
#[derive(Debug, Serialize)]
pub struct Entry<'a, T> {
    /// Its own id; sent again under the same id it is the same.
    pub id: String,
    /// The tenant.
    pub tenant_id: &'a str,
    /// The pool.
    pub user_pool_id: &'a str,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// The rest.
    #[serde(flatten)]
    pub fields: T,
}

/// What belongs to a user alone.
#[derive(Debug, Serialize)]
pub struct DumpUser<'a> {
    /// `active` or `inactive`.
    pub status: &'static str,
    /// Names.
    pub payload: DumpNames<'a>,
    /// Attributes.
    pub metadata: &'a Value,
}

/// A user's names.
#[derive(Debug, Serialize)]
pub struct DumpNames<'a> {
    /// First name.
    pub given_name: &'a str,
    /// Last name.
    pub family_name: &'a str,
}

/// What belongs to an identifier alone.
#[derive(Debug, Serialize)]
pub struct DumpIdentifier<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// `uid`, `email`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// As it was given.
    pub identifier: &'a str,
    /// In lower case.
    pub identifier_lc: String,
    /// Nothing.
    pub metadata: Empty,
}

/// What belongs to an address alone.
#[derive(Debug, Serialize)]
pub struct DumpAddress<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// `email`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `active`
    pub status: &'static str,
    /// Whether it is known to be theirs.
    pub verified: bool,
    /// As it was given.
    pub address: &'a str,
    /// In lower case.
    pub address_lc: String,
    /// Nothing.
    pub metadata: Empty,
}

/// What belongs to a password alone.
#[derive(Debug, Serialize)]
pub struct DumpCredential<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// `password`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `valid`
    pub state: &'static str,
    /// The hash, and by what it was made.
    pub payload: Value,
}

/// An object with nothing in it.
#[derive(Debug, Serialize)]
pub struct Empty {}
