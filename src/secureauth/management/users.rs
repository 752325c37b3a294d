//! Users of a pool: one by one, page by page, and many at once.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::calls::{ApiResponse, Call, CallError};
use super::objects::{decode, optional};
use super::{Dump, Management, Workspace};

/// Users a page, at most: the vendor's figure.
const PAGE_SIZE: usize = 100;

/// What a user is found by, in the words of the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identifier {
    /// `uid`, `email`, `mobile`, `external` or `federated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The identifier.
    #[serde(alias = "identifier")]
    pub value: String,
}

/// Where a user gets mail or messages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Address {
    /// The address.
    pub address: String,
    /// Whether it is known to be the user's.
    #[serde(default)]
    pub verified: bool,
}

/// A user of a pool.
#[derive(Clone, Debug)]
pub struct PoolUser {
    /// Permanent id.
    pub id: String,
    /// `new`, `active`, `inactive` or `deleted`.
    pub status: String,
    /// What users may change themselves.
    pub payload: Map<String, Value>,
    /// What only administrators may change.
    pub metadata: Map<String, Value>,
    /// What the user is found by.
    pub identifiers: Vec<Identifier>,
    /// Where the user is reached.
    pub addresses: Vec<Address>,
    /// The version, when the user was asked for alone.
    pub version: Option<String>,
}

/// A user as the vendor writes one, alone or in a list: the names differ.
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

    /// Whether a pool has a user with exactly this id.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn has_user(&self, pool: &str, id: &str) -> Result<bool, CallError> {
        Ok(self.user(pool, id).await?.is_some())
    }

    /// The user of a pool with exactly this id, and the version to change it by.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn user(&self, pool: &str, id: &str) -> Result<Option<PoolUser>, CallError> {
        match self.call_with_etag(Call::new(Workspace::System, Method::GET, self.user_path(pool, id))).await {
            Ok(ApiResponse { body, etag }) => Ok(Some(decode::<WireUser>(body)?.into_user(etag)?)),
            Err(error) if error.is(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The user of a pool who has exactly this identifier.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn user_by_identifier(&self, pool: &str, identifier: &str) -> Result<Option<PoolUser>, CallError> {
        let (path, body) = (format!("{}/by_key", self.users_path(pool)), json!({ "identifier": identifier }));
        let call = Call::new(Workspace::System, Method::POST, path).body(&body);
        optional::<WireUser>(self.call(call).await)?.map(|user| user.into_user(None)).transpose()
    }

    /// A page of a pool's users, by id, after an id; an empty one is the end. The vendor's lists may lag behind.
    ///
    /// # Errors
    /// No answer, or a refusal.
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

    /// Makes a user with the id that `user` names.
    ///
    /// # Errors
    /// No answer, or a refusal: 409 when the id or an identifier is taken.
    pub async fn create_user(&self, pool: &str, user: &Value) -> Result<(), CallError> {
        // By a key of its own: somebody who was deleted and comes back within the vendor's minute is made again.
        let call = Call::new(Workspace::System, Method::POST, self.users_path(pool)).body(user);
        self.call(call.idempotency_key(self.random.token::<32>())).await.map(drop)
    }

    /// Sets a user's status, and leaves the rest as it is.
    ///
    /// # Errors
    /// No answer, or a refusal: 412 when somebody has changed the user since this version.
    pub async fn set_status(&self, pool: &str, user: &PoolUser, status: &str) -> Result<PoolUser, CallError> {
        let body = json!({ "status": status });
        let call = Call::new(Workspace::System, Method::PUT, self.user_path(pool, &user.id)).body(&body);
        let ApiResponse { body, etag } = self.call_with_etag(call.if_match(user.version.as_deref())).await?;
        decode::<WireUser>(body)?.into_user(etag)
    }

    /// Changes a user by a JSON merge patch (RFC 7396).
    ///
    /// # Errors
    /// No answer, or a refusal: 412 when somebody has changed the user since this version.
    pub async fn patch_user(&self, pool: &str, user: &PoolUser, patch: &Value) -> Result<PoolUser, CallError> {
        let path = format!("{}?rfc_version=7396", self.user_path(pool, &user.id));
        let call = Call::new(Workspace::System, Method::PATCH, path).body(patch);
        let ApiResponse { body, etag } = self.call_with_etag(call.if_match(user.version.as_deref())).await?;
        decode::<WireUser>(body)?.into_user(etag)
    }

    /// Deletes a user; one that is gone is fine.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn delete_user(&self, pool: &str, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::System, self.user_path(pool, id)).await
    }

    /// Gives a user one more identifier.
    ///
    /// # Errors
    /// No answer, or a refusal: 409 when somebody has it.
    pub async fn add_identifier(&self, pool: &str, id: &str, (kind, value): (&str, &str)) -> Result<(), CallError> {
        let body = json!({ "type": kind, "identifier": value });
        self.post_user_action(pool, id, "identifiers/add", &body).await
    }

    /// Takes an identifier from a user; one that is gone is fine.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn remove_identifier(&self, pool: &str, id: &str, value: &str) -> Result<(), CallError> {
        ignore_not_found(self.post_user_action(pool, id, "identifiers/remove", &json!({ "identifier": value })).await)
    }

    /// Gives a user one more mail address, which is known to be the user's.
    ///
    /// # Errors
    /// No answer, or a refusal: 409 when somebody has it.
    pub async fn add_address(&self, pool: &str, id: &str, address: &str) -> Result<(), CallError> {
        let body = json!({ "type": "email", "address": address, "status": "active", "verified": true });
        self.post_user_action(pool, id, "addresses/add", &body).await
    }

    /// Notes that a mail address of a user is known to be the user's.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn verify_address(&self, pool: &str, id: &str, address: &str) -> Result<(), CallError> {
        let body = json!({ "address": address, "status": "active", "verified": true });
        self.post_user_action(pool, id, "addresses/update", &body).await
    }

    /// Takes an address from a user; one that is gone is fine.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn remove_address(&self, pool: &str, id: &str, address: &str) -> Result<(), CallError> {
        ignore_not_found(self.post_user_action(pool, id, "addresses/remove", &json!({ "address": address })).await)
    }

    /// Each of these is a request of its own: what was added may be taken away and added again within the vendor's minute.
    async fn post_user_action(&self, pool: &str, id: &str, what: &str, body: &Value) -> Result<(), CallError> {
        let path = format!("{}/{what}", self.user_path(pool, id));
        let call =
            Call::new(Workspace::System, Method::POST, path).body(body).idempotency_key(self.random.token::<32>());
        self.call(call).await.map(drop)
    }

    /// Imports users with all that belongs to them. Sending the same again changes nothing, since every id is ours.
    ///
    /// # Errors
    /// No answer, or a refusal: 409 when an identifier belongs to somebody else in the pool.
    pub async fn import_users(&self, dump: &Dump<'_>) -> Result<(), CallError> {
        // Whatever the version understands by it: entries are complete, and none of them is anybody else's.
        let path = format!("{}?mode=update", self.configuration_path());
        self.call(Call::new(Workspace::System, Method::PUT, path).body(dump)).await.map(drop)
    }
}

fn ignore_not_found(result: Result<(), CallError>) -> Result<(), CallError> {
    match result {
        Err(error) if error.is(404) => Ok(()),
        other => other,
    }
}
