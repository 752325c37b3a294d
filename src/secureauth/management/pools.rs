//! Pools of users.

use serde::Deserialize;
use serde_json::{Value, json};

use super::PasswordPolicy;
use super::client::{Management, Workspace};
use super::error::CallError;
use super::requests::{decode, optional};

/// A pool of users.
#[derive(Clone, Debug, Deserialize)]
pub struct Pool {
    pub id: String,
    /// The name on SecureAuth's pages.
    #[serde(default)]
    pub name: String,
    /// The organization that it belongs to.
    #[serde(default)]
    pub workspace_id: Option<String>,
    #[serde(default)]
    pub number_of_users: Option<i64>,
    #[serde(default)]
    pub authentication_mechanisms: Option<Vec<String>>,
    #[serde(default)]
    pub second_factor_authentication_mechanisms: Option<Vec<String>>,
    #[serde(default, deserialize_with = "PasswordPolicy::deserialize_lenient")]
    pub password_policy: PasswordPolicy,
    #[serde(default)]
    pub identifier_case_insensitive: bool,
    #[serde(default)]
    pub public_registration_allowed: bool,
}

/// Signpost's settings for a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings<'a> {
    /// The name on SecureAuth's pages.
    pub name: &'a str,
    /// First and second factors. `None` leaves them to SecureAuth: the users sign in at the biller's own provider.
    pub mechanisms: Option<(&'a [&'a str], &'a [&'a str])>,
    pub policy: PasswordPolicy,
}

impl PoolSettings<'_> {
    /// Writes the settings into a pool. Everything else in it stays.
    fn apply_to(&self, pool: &mut Value) {
        pool["name"] = json!(self.name);
        if let Some((first, second)) = self.mechanisms {
            pool["authentication_mechanisms"] = json!(first);
            pool["second_factor_authentication_mechanisms"] = json!(second);
        }
        pool["identifier_case_insensitive"] = json!(true);
        pool["public_registration_allowed"] = json!(false);
        let Value::Object(policy) = json!(self.policy) else { return };
        for (name, value) in policy {
            pool["password_policy"][name] = value;
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct NewPool<'a> {
    pub id: &'a str,
    pub organization: &'a str,
    pub settings: PoolSettings<'a>,
}

impl Management {
    /// Writes Signpost's settings into a pool.
    pub async fn update_pool(&self, id: &str, settings: &PoolSettings<'_>) -> Result<(), CallError> {
        self.read_modify_write(format!("{}/system/pools/{id}", self.api_prefix("identity")), |pool| {
            settings.apply_to(pool)
        })
        .await
    }

    /// Returns the pool with exactly this id.
    pub async fn pool(&self, id: &str) -> Result<Option<Pool>, CallError> {
        optional(self.get(Workspace::System, format!("{}/system/pools/{id}", self.api_prefix("identity"))).await)
    }

    /// Creates a pool for an organization.
    ///
    /// # Errors
    /// SecureAuth responds with 409 when the id is taken.
    pub async fn create_pool(&self, new: &NewPool<'_>) -> Result<Pool, CallError> {
        let mut body = json!({ "tenant_id": self.tenant(), "id": new.id, "workspace_id": new.organization });
        new.settings.apply_to(&mut body);
        decode(self.post(Workspace::System, format!("{}/system/pools", self.api_prefix("identity")), &body).await?)
    }

    /// Deletes a pool with its users. One that does not exist is not an error.
    pub async fn delete_pool(&self, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::System, format!("{}/system/pools/{id}", self.api_prefix("identity"))).await
    }
}
