//! All objects of the tenant, under one lock.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::mail::MailCode;
use super::records::{Json, Member, Resource};
use crate::secureauth::response::{ApiError, etag};
use signpost_core::Random;

#[derive(Default)]
pub(crate) struct Objects {
    versions: u64,
    /// By id.
    pub organizations: BTreeMap<String, Resource>,
    /// By id.
    pub pools: BTreeMap<String, Pool>,
    /// Connections of pools to organizations, by id.
    pub idps: BTreeMap<String, Resource>,
    /// By client id.
    pub clients: BTreeMap<String, Resource>,
    /// By id.
    pub claims: BTreeMap<String, Resource>,
    /// Codes of mails, by code and by extended code.
    pub codes: HashMap<String, MailCode>,
}

/// A pool with its users.
pub(crate) struct Pool {
    pub resource: Resource,
    /// By id.
    pub users: BTreeMap<String, Member>,
    /// User ids by lower-case identifier.
    pub identifiers: HashMap<String, String>,
}

impl Objects {
    pub(crate) fn version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    pub(crate) fn pool(&self, id: &str) -> Result<&Pool, ApiError> {
        self.pools.get(id).ok_or_else(|| ApiError::not_found("the pool"))
    }

    pub(crate) fn pool_mut(&mut self, id: &str) -> Result<&mut Pool, ApiError> {
        self.pools.get_mut(id).ok_or_else(|| ApiError::not_found("the pool"))
    }

    pub(crate) fn member(&self, pool: &str, user: &str) -> Result<&Member, ApiError> {
        self.pool(pool)?.users.get(user).ok_or_else(|| ApiError::not_found("the user"))
    }

    pub(crate) fn member_mut(&mut self, pool: &str, user: &str) -> Result<&mut Member, ApiError> {
        self.pool_mut(pool)?.users.get_mut(user).ok_or_else(|| ApiError::not_found("the user"))
    }

    /// Ids by kind; and, as `fields`, the content of organizations, connections, clients and claims without `updated_at`.
    pub(crate) fn snapshot(&self) -> Value {
        fn keys<V>(map: &BTreeMap<String, V>) -> Vec<&String> {
            map.keys().collect()
        }
        fn fields(map: &BTreeMap<String, Resource>) -> Json {
            let without = |(id, resource): (&String, &Resource)| {
                let mut fields = resource.value.clone();
                fields.remove("updated_at");
                (id.clone(), Value::Object(fields))
            };
            map.iter().map(without).collect()
        }
        let members = || self.pools.values().flat_map(|pool| pool.users.values());
        let users: Json = self.pools.iter().map(|(id, pool)| (id.clone(), json!(keys(&pool.users)))).collect();
        let mut identifiers: Vec<&str> =
            members().flat_map(|member| &member.identifiers).map(|entry| entry.id.as_str()).collect();
        let mut addresses: Vec<&str> =
            members().flat_map(|member| &member.addresses).map(|entry| entry.id.as_str()).collect();
        let mut credentials: Vec<&str> =
            members().flat_map(|member| &member.credentials).map(|entry| entry.id.as_str()).collect();
        identifiers.sort_unstable();
        addresses.sort_unstable();
        credentials.sort_unstable();
        json!({
            "organizations": keys(&self.organizations),
            "pools": keys(&self.pools),
            "users": users,
            "user_identifiers": identifiers,
            "user_verifiable_addresses": addresses,
            "user_credentials": credentials,
            "idps": keys(&self.idps),
            "clients": keys(&self.clients),
            "claims": keys(&self.claims),
            "fields": [fields(&self.organizations), fields(&self.idps), fields(&self.clients), fields(&self.claims)],
        })
    }
}

impl Pool {
    pub(crate) fn new(resource: Resource) -> Self {
        Self { resource, users: BTreeMap::new(), identifiers: HashMap::new() }
    }

    /// Matches without regard to case.
    pub(crate) fn find_by_identifier(&self, identifier: &str) -> Option<&Member> {
        self.users.get(self.identifiers.get(&identifier.to_lowercase())?)
    }

    /// Adds a user or replaces the one with this id, and assigns the identifiers to it.
    pub(crate) fn insert(&mut self, member: Member) {
        for entry in &member.identifiers {
            self.identifiers.insert(entry.identifier_lc.clone(), member.user.id.clone());
        }
        self.users.insert(member.user.id.clone(), member);
    }

    /// Frees a user's identifiers for others.
    pub(crate) fn release_identifiers(&mut self, user: &str) {
        if let Some(member) = self.users.get(user) {
            for entry in &member.identifiers {
                if self.identifiers.get(&entry.identifier_lc).is_some_and(|owner| owner == user) {
                    self.identifiers.remove(&entry.identifier_lc);
                }
            }
        }
    }
}

/// Checks `If-Match`, if the request has one.
pub(crate) fn check_if_match(if_match: Option<&str>, version: u64) -> Result<(), ApiError> {
    let current = etag(version);
    let fits = |tags: &str| tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == current);
    if if_match.is_none_or(fits) { Ok(()) } else { Err(ApiError::precondition_failed()) }
}

pub(crate) fn new_id(random: &Random) -> String {
    uuid::Builder::from_random_bytes(random.bytes()).into_uuid().to_string()
}

/// A text field that is not empty.
pub(crate) fn str_field<'a>(value: &'a Json, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The object of an object literal.
pub(crate) fn to_object(value: Value) -> Json {
    match value {
        Value::Object(object) => object,
        _ => Json::new(),
    }
}

/// Key of a configured client whose id another organization's client has already. The API refuses such ids.
pub(crate) fn seeded_client_key(organization: &str, id: &str) -> String {
    format!("{organization}/{id}")
}
