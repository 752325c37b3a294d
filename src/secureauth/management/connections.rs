//! Connections of a pool to its organization.

use serde_json::{Value, json};

use super::client::{Management, Workspace};
use super::error::CallError;
use super::requests::optional;

impl Management {
    fn connections(&self, organization: &str) -> String {
        format!("{}/servers/{organization}/idps/identity_pool", self.api_prefix("admin"))
    }

    /// Whether a connection with exactly this id exists.
    pub async fn has_connection(&self, organization: &str, id: &str) -> Result<bool, CallError> {
        let path = format!("{}/{id}", self.connections(organization));
        Ok(optional::<Value>(self.get(Workspace::Admin, path).await)?.is_some())
    }

    /// Lets an organization sign in the users of a pool.
    pub async fn create_connection(&self, organization: &str, id: &str, pool: &str) -> Result<(), CallError> {
        let body = json!({ "id": id, "identity_pool_id": pool, "name": "Customers", "disabled": false });
        self.post(Workspace::Admin, self.connections(organization), &body).await.map(drop)
    }

    /// Deletes a connection. One that does not exist is not an error.
    pub async fn delete_connection(&self, organization: &str, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::Admin, format!("{}/servers/{organization}/idps/{id}", self.api_prefix("admin"))).await
    }
}
