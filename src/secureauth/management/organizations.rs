//! Organizations.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::client::{Management, Workspace};
use super::error::CallError;
use super::requests::{decode, optional};

/// SecureAuth's reads may lag behind: an organization is read this often, with [`READ_INTERVAL`] in between.
const MAX_READS: u32 = 3;
const READ_INTERVAL: Duration = Duration::from_millis(200);

/// An organization: a biller's own issuer.
#[derive(Clone, Debug, Deserialize)]
pub struct Organization {
    pub id: String,
    /// The name on SecureAuth's pages.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub deactivated: bool,
    #[serde(default)]
    pub issuer_url: Option<String>,
    /// The tag that it was created with.
    #[serde(default)]
    pub description: String,
}

impl Management {
    /// Returns the organization with exactly this id.
    pub async fn organization(&self, id: &str) -> Result<Option<Organization>, CallError> {
        let path = format!("{}/organizations/{id}", self.api_prefix("system"));
        optional(self.get(Workspace::System, path).await)
    }

    /// Creates an organization. The tag identifies its creator later.
    ///
    /// # Errors
    /// 409 if the id is taken.
    pub async fn create_organization(&self, id: &str, name: &str, tag: &str) -> Result<Organization, CallError> {
        let body = json!({ "id": id, "name": name, "description": tag });
        let path = format!("{}/organizations", self.api_prefix("system"));
        decode(self.post(Workspace::System, path, &body).await?)
    }

    /// Deactivates or reactivates an organization, and reads it back. The rest of it stays.
    ///
    /// # Errors
    /// [`CallError::NotApplied`] if SecureAuth accepts the call and ignores the field, as versions before August 2025 do.
    pub async fn set_organization_deactivated(&self, id: &str, deactivated: bool) -> Result<(), CallError> {
        let path = format!("{}/organizations/{id}", self.api_prefix("system"));
        self.read_modify_write(path.clone(), |organization| organization["deactivated"] = json!(deactivated)).await?;
        let mut found = !deactivated;
        for attempt in 0..MAX_READS {
            if attempt > 0 {
                tokio::time::sleep(READ_INTERVAL).await;
            }
            let organization: Organization = decode(self.get(Workspace::System, path.clone()).await?)?;
            found = organization.deactivated;
            if found == deactivated {
                return Ok(());
            }
        }
        let object = format!("the organization {id}");
        Err(CallError::NotApplied { object, field: "deactivated", wanted: deactivated, found })
    }

    pub async fn rename_organization(&self, id: &str, name: &str) -> Result<(), CallError> {
        let path = format!("{}/organizations/{id}", self.api_prefix("system"));
        self.read_modify_write(path, |organization| organization["name"] = json!(name)).await
    }

    /// Deletes an organization. One that does not exist is not an error.
    pub async fn delete_organization(&self, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::System, format!("{}/organizations/{id}", self.api_prefix("system"))).await
    }
}
