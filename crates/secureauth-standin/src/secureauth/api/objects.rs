//! Everything the management API keeps, under one lock.
//!
//! Field names are the vendor's.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::passwords::MailKind;
use super::response::{ApiError, etag};
use signpost_core::{Random, Timestamp};

/// A JSON object.
pub(super) type Json = Map<String, Value>;

/// All objects of the tenant.
#[derive(Default)]
pub(super) struct Objects {
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

/// An object kept as it was given.
pub(super) struct Resource {
    /// Its fields.
    pub value: Json,
    /// Grows with each change.
    pub version: u64,
}

/// A pool and those in it.
pub(super) struct Pool {
    /// The pool itself.
    pub resource: Resource,
    /// By id.
    pub users: BTreeMap<String, Member>,
    /// User ids by lower-case identifier.
    pub identifiers: HashMap<String, String>,
}

/// A user with all that belongs to it.
pub(super) struct Member {
    /// The user itself.
    pub user: User,
    /// What can be typed to sign in.
    pub identifiers: Vec<Identifier>,
    /// Mail addresses and telephone numbers.
    pub addresses: Vec<Address>,
    /// Passwords.
    pub credentials: Vec<Credential>,
    /// Grows with each change.
    pub version: u64,
    /// When it came here: lists may lag behind.
    pub since: Timestamp,
}

/// Where the code of a mail leads.
#[derive(Clone)]
pub(super) struct MailCode {
    /// What it is good for.
    pub kind: MailKind,
    /// The pool's id.
    pub pool: String,
    /// The user's id.
    pub user: String,
    /// Until when.
    pub expires: Timestamp,
    /// An extended code says itself whose it is.
    pub extended: bool,
}

/// A user without what belongs to it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct User {
    pub id: String,
    pub tenant_id: String,
    pub user_pool_id: String,
    pub status: String,
    pub payload: Json,
    pub metadata: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_metadata: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_schema_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_schema_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_metadata_schema_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferences: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_type: Option<Value>,
    pub created_at: String,
    pub updated_at: String,
    pub status_updated_at: String,
}

/// Something that can be typed to sign in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Identifier {
    pub id: String,
    pub tenant_id: String,
    pub user_pool_id: String,
    pub user_id: String,
    pub identifier: String,
    pub identifier_lc: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    pub created_at: String,
    pub updated_at: String,
}

/// A mail address or a telephone number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Address {
    pub id: String,
    pub tenant_id: String,
    pub user_pool_id: String,
    pub user_id: String,
    pub address: String,
    pub address_lc: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_for_2fa: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_contact_method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    pub created_at: String,
    pub updated_at: String,
}

/// A password, as its hash.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Credential {
    pub id: String,
    pub tenant_id: String,
    pub user_pool_id: String,
    pub user_id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub payload: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

impl Objects {
    /// The next version.
    pub(super) fn version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    /// A pool.
    ///
    /// # Errors
    /// There is none with this id.
    pub(super) fn pool(&self, id: &str) -> Result<&Pool, ApiError> {
        self.pools.get(id).ok_or_else(|| ApiError::not_found("the pool"))
    }

    /// A pool to be changed.
    ///
    /// # Errors
    /// There is none with this id.
    pub(super) fn pool_mut(&mut self, id: &str) -> Result<&mut Pool, ApiError> {
        self.pools.get_mut(id).ok_or_else(|| ApiError::not_found("the pool"))
    }

    /// A user.
    ///
    /// # Errors
    /// There is none with this id.
    pub(super) fn member(&self, pool: &str, user: &str) -> Result<&Member, ApiError> {
        self.pool(pool)?.users.get(user).ok_or_else(|| ApiError::not_found("the user"))
    }

    /// A user to be changed.
    ///
    /// # Errors
    /// There is none with this id.
    pub(super) fn member_mut(&mut self, pool: &str, user: &str) -> Result<&mut Member, ApiError> {
        self.pool_mut(pool)?.users.get_mut(user).ok_or_else(|| ApiError::not_found("the user"))
    }

    /// Ids by kind; and, as `fields`, what organizations, connections, clients and claims hold but for `updated_at`.
    pub(super) fn snapshot(&self) -> Value {
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
    /// Without users.
    pub(super) fn new(resource: Resource) -> Self {
        Self { resource, users: BTreeMap::new(), identifiers: HashMap::new() }
    }

    /// The user to whom an identifier belongs, without regard to case.
    pub(super) fn find_by_identifier(&self, identifier: &str) -> Option<&Member> {
        self.users.get(self.identifiers.get(&identifier.to_lowercase())?)
    }

    /// Puts a user in, in place of the one with this id; the identifiers belong to it from now on.
    pub(super) fn insert(&mut self, member: Member) {
        for entry in &member.identifiers {
            self.identifiers.insert(entry.identifier_lc.clone(), member.user.id.clone());
        }
        self.users.insert(member.user.id.clone(), member);
    }

    /// Gives a user's identifiers free.
    pub(super) fn release_identifiers(&mut self, user: &str) {
        if let Some(member) = self.users.get(user) {
            for entry in &member.identifiers {
                if self.identifiers.get(&entry.identifier_lc).is_some_and(|owner| owner == user) {
                    self.identifiers.remove(&entry.identifier_lc);
                }
            }
        }
    }
}

impl Member {
    /// The password.
    pub(super) fn password(&self) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.kind == "password")
    }

    /// Whether an address is this user's, verified or not.
    pub(super) fn has_address(&self, address: &str, verified: bool) -> bool {
        let address = address.to_lowercase();
        self.addresses.iter().any(|entry| entry.address_lc == address && (entry.verified || !verified))
    }
}

impl Credential {
    /// The hash as text: a PHC string or a bcrypt string.
    pub(super) fn hash(&self) -> Option<&str> {
        self.payload.get("hashed_password")?.get("value")?.as_str()
    }
}

/// The payload that holds a hash of ours.
pub(super) fn password_payload(value: &str) -> Value {
    json!({ "hashed_password": { "value": value, "config": { "method": "argon2" } } })
}

/// Whether `If-Match`, if sent, allows this version.
///
/// # Errors
/// It names others.
pub(super) fn check_if_match(if_match: Option<&str>, version: u64) -> Result<(), ApiError> {
    let current = etag(version);
    let fits = |tags: &str| tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == current);
    if if_match.is_none_or(fits) { Ok(()) } else { Err(ApiError::precondition_failed()) }
}

/// An id that nobody has.
pub(super) fn new_id(random: &Random) -> String {
    uuid::Builder::from_random_bytes(random.bytes()).into_uuid().to_string()
}

/// A text field that is there and not empty.
pub(super) fn str_field<'a>(value: &'a Json, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}
