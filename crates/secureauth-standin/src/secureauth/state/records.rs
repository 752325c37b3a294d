//! Records of the management API. Field names are the vendor's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use signpost_core::Timestamp;

/// A JSON object.
pub(crate) type Json = Map<String, Value>;

/// An object stored as it was sent.
pub(crate) struct Resource {
    pub value: Json,
    /// Grows with each change.
    pub version: u64,
}

/// A user with identifiers, addresses and credentials.
pub(crate) struct Member {
    pub user: User,
    pub identifiers: Vec<Identifier>,
    pub addresses: Vec<Address>,
    pub credentials: Vec<Credential>,
    /// Grows with each change.
    pub version: u64,
    /// When it was created. Lists may lag behind.
    pub since: Timestamp,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct User {
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

/// A name to sign in with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Identifier {
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
pub(crate) struct Address {
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

/// A password as its hash.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Credential {
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

impl Member {
    pub(crate) fn password(&self) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.kind == "password")
    }

    /// Whether the user has this address; with `verified`, only a verified one counts.
    pub(crate) fn has_address(&self, address: &str, verified: bool) -> bool {
        let address = address.to_lowercase();
        self.addresses.iter().any(|entry| entry.address_lc == address && (entry.verified || !verified))
    }
}

impl Credential {
    /// A valid password from a hash of the stand-in's own.
    pub(crate) fn password(hash: &str, now: &str) -> Self {
        Self {
            kind: "password".to_owned(),
            payload: json!({ "hashed_password": { "value": hash, "config": { "method": "argon2" } } }),
            state: Some("valid".to_owned()),
            created_at: now.to_owned(),
            updated_at: now.to_owned(),
            ..Self::default()
        }
    }

    /// A PHC string or a bcrypt string.
    pub(crate) fn hash(&self) -> Option<&str> {
        self.payload.get("hashed_password")?.get("value")?.as_str()
    }
}
