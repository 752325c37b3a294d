//! Users of a pool.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::calls::{ApiResponse, Call};
use super::client::{Management, Workspace};
use super::error::CallError;
use super::requests::{decode, optional};

/// SecureAuth's limit.
const PAGE_SIZE: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identifier {
    /// `uid`, `email`, `mobile`, `external` or `federated`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(alias = "identifier")]
    pub value: String,
}

/// A mail address or telephone number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Address {
    pub address: String,
    #[serde(default)]
    pub verified: bool,
}

/// A user of a pool.
#[derive(Clone, Debug)]
pub struct PoolUser {
    pub id: String,
    /// `new`, `active`, `inactive` or `deleted`.
    pub status: String,
    /// Fields that users may change themselves.
    pub payload: Map<String, Value>,
    /// Fields that only administrators may change.
    pub metadata: Map<String, Value>,
    pub identifiers: Vec<Identifier>,
    pub addresses: Vec<Address>,
    /// Set if the user was looked up by id.
    pub version: Option<String>,
}

/// A user as SecureAuth returns it. Field names of a single user and of a list differ.
#[derive(Deserialize)]
struct WireUser {
    id: String,
    status: String,
    #[serde(default)]
    payload: Option<Map<String, Value>>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    identifiers: Option<Value>,
    #[serde(default)]
    identifiers_with_details: Option<Vec<Identifier>>,
    #[serde(default, alias = "addresses")]
    verifiable_addresses: Option<Vec<Address>>,
}

impl WireUser {
    fn into_user(self, version: Option<String>) -> Result<PoolUser, CallError> {
        let identifiers = match self.identifiers_with_details {
            Some(identifiers) => identifiers,
            None => decode::<Option<_>>(self.identifiers.unwrap_or_default())?.unwrap_or_default(),
        };
        Ok(PoolUser {
            id: self.id,
            status: self.status,
            payload: self.payload.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_default(),
            identifiers,
            addresses: self.verifiable_addresses.unwrap_or_default(),
            version,
        })
    }
}

impl Management {
    pub(super) fn users_path(&self, pool: &str) -> String {
        format!("{}/system/pools/{pool}/users", self.api_prefix("identity"))
    }

    fn user_path(&self, pool: &str, id: &str) -> String {
        format!("{}/{id}", self.users_path(pool))
    }

    pub async fn has_user(&self, pool: &str, id: &str) -> Result<bool, CallError> {
        Ok(self.user(pool, id).await?.is_some())
    }

    /// Returns the user with exactly this id, with its version.
    pub async fn user(&self, pool: &str, id: &str) -> Result<Option<PoolUser>, CallError> {
        match self.call_with_etag(Call::new(Workspace::System, Method::GET, self.user_path(pool, id))).await {
            Ok(ApiResponse { body, etag }) => Ok(Some(decode::<WireUser>(body)?.into_user(etag)?)),
            Err(error) if error.is(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the user with exactly this identifier.
    pub async fn user_by_identifier(&self, pool: &str, identifier: &str) -> Result<Option<PoolUser>, CallError> {
        let (path, body) = (format!("{}/by_key", self.users_path(pool)), json!({ "identifier": identifier }));
        let call = Call::new(Workspace::System, Method::POST, path).body(&body);
        optional::<WireUser>(self.call(call).await)?.map(|user| user.into_user(None)).transpose()
    }

    /// Returns a page of users after an id, ordered by id. An empty page is the end. SecureAuth's lists may lag behind.
    pub async fn users(&self, pool: &str, after: Option<&str>) -> Result<Vec<PoolUser>, CallError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            users: Option<Vec<WireUser>>,
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &PAGE_SIZE.to_string());
        if let Some(after) = after {
            query.append_pair("after_user_id", after);
        }
        let path = format!("{}?{}", self.users_path(pool), query.finish());
        let page: Page = decode(self.get(Workspace::System, path).await?)?;
        page.users.unwrap_or_default().into_iter().map(|user| user.into_user(None)).collect()
    }

    /// Creates a user with the id in `user`.
    ///
    /// # Errors
    /// 409 if the id or an identifier is taken.
    pub async fn create_user(&self, pool: &str, user: &Value) -> Result<(), CallError> {
        // A random key, so that a user who was deleted can be created again within a minute.
        let call = Call::new(Workspace::System, Method::POST, self.users_path(pool)).body(user);
        self.call(call.idempotency_key(self.random.token::<32>())).await.map(drop)
    }

    ///
    /// # Errors
    /// 412 if the user was changed since this version.
    pub async fn set_status(&self, pool: &str, user: &PoolUser, status: &str) -> Result<PoolUser, CallError> {
        let body = json!({ "status": status });
        let call = Call::new(Workspace::System, Method::PUT, self.user_path(pool, &user.id)).body(&body);
        let ApiResponse { body, etag } = self.call_with_etag(call.if_match(user.version.as_deref())).await?;
        decode::<WireUser>(body)?.into_user(etag)
    }

    /// Updates a user by a JSON merge patch (RFC 7396).
    ///
    /// # Errors
    /// 412 if the user was changed since this version.
    pub async fn patch_user(&self, pool: &str, user: &PoolUser, patch: &Value) -> Result<PoolUser, CallError> {
        let path = format!("{}?rfc_version=7396", self.user_path(pool, &user.id));
        let call = Call::new(Workspace::System, Method::PATCH, path).body(patch);
        let ApiResponse { body, etag } = self.call_with_etag(call.if_match(user.version.as_deref())).await?;
        decode::<WireUser>(body)?.into_user(etag)
    }

    /// Deletes a user. One that does not exist is not an error.
    pub async fn delete_user(&self, pool: &str, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::System, self.user_path(pool, id)).await
    }

    ///
    /// # Errors
    /// 409 if another user has it.
    pub async fn add_identifier(&self, pool: &str, id: &str, (kind, value): (&str, &str)) -> Result<(), CallError> {
        let body = json!({ "type": kind, "identifier": value });
        self.post_user_action(pool, id, "identifiers/add", &body).await
    }

    /// Removes an identifier. One that does not exist is not an error.
    pub async fn remove_identifier(&self, pool: &str, id: &str, value: &str) -> Result<(), CallError> {
        ignore_not_found(self.post_user_action(pool, id, "identifiers/remove", &json!({ "identifier": value })).await)
    }

    /// Adds a verified mail address.
    ///
    /// # Errors
    /// 409 if another user has it.
    pub async fn add_address(&self, pool: &str, id: &str, address: &str) -> Result<(), CallError> {
        let body = json!({ "type": "email", "address": address, "status": "active", "verified": true });
        self.post_user_action(pool, id, "addresses/add", &body).await
    }

    /// Marks a mail address as verified.
    pub async fn verify_address(&self, pool: &str, id: &str, address: &str) -> Result<(), CallError> {
        let body = json!({ "address": address, "status": "active", "verified": true });
        self.post_user_action(pool, id, "addresses/update", &body).await
    }

    /// Removes an address. One that does not exist is not an error.
    pub async fn remove_address(&self, pool: &str, id: &str, address: &str) -> Result<(), CallError> {
        ignore_not_found(self.post_user_action(pool, id, "addresses/remove", &json!({ "address": address })).await)
    }

    /// The idempotency key is random, so that an identifier can be added, removed and added again within a minute.
    async fn post_user_action(&self, pool: &str, id: &str, what: &str, body: &Value) -> Result<(), CallError> {
        let path = format!("{}/{what}", self.user_path(pool, id));
        let call =
            Call::new(Workspace::System, Method::POST, path).body(body).idempotency_key(self.random.token::<32>());
        self.call(call).await.map(drop)
    }
}

fn ignore_not_found(result: Result<(), CallError>) -> Result<(), CallError> {
    match result {
        Err(error) if error.is(404) => Ok(()),
        other => other,
    }
}
