//! Login clients and their claims.

use serde_json::{Value, json};
use url::Url;

use super::client::{Management, Workspace};
use super::error::CallError;
use super::requests::optional;

#[derive(Clone, Debug)]
pub struct NewClient<'a> {
    pub organization: &'a str,
    pub client_id: &'a str,
    /// The name on SecureAuth's pages.
    pub name: &'a str,
    pub redirect_uri: &'a Url,
    pub post_logout_redirect_uri: &'a Url,
    pub backchannel_logout_uri: &'a Url,
}

impl Management {
    /// Whether a login client with exactly this id exists.
    pub async fn has_client(&self, id: &str) -> Result<bool, CallError> {
        let path = format!("{}/clients/{id}", self.api_prefix("admin"));
        Ok(optional::<Value>(self.get(Workspace::Admin, path).await)?.is_some())
    }

    /// Registers a login client with a secret that Signpost generated.
    ///
    /// # Errors
    /// SecureAuth responds with 409 when the id is taken.
    pub async fn create_client(&self, new: &NewClient<'_>, secret: &str) -> Result<(), CallError> {
        let body = json!({
            "tenant_id": self.tenant(), "authorization_server_id": new.organization, "client_id": new.client_id,
            "client_name": new.name, "client_secret": secret, "redirect_uris": [new.redirect_uri.as_str()],
            "post_logout_redirect_uris": [new.post_logout_redirect_uri.as_str()],
            "backchannel_logout_uri": new.backchannel_logout_uri.as_str(), "backchannel_logout_session_required": true,
            "grant_types": ["authorization_code"], "response_types": ["code"], "trusted": true,
            "token_endpoint_auth_method": "client_secret_basic", "scopes": ["openid", "profile", "email"],
        });
        let path = format!("{}/clients", self.api_prefix("admin"));
        self.post(Workspace::Admin, path, &body).await.map(drop)
    }

    /// Deletes a login client. One that does not exist is not an error.
    pub async fn delete_client(&self, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::Admin, format!("{}/clients/{id}", self.api_prefix("admin"))).await
    }

    /// Whether an organization has a claim with exactly this id.
    pub async fn has_claim(&self, organization: &str, id: &str) -> Result<bool, CallError> {
        // The API lists the claims of an organization; it has no lookup of one claim.
        let path = format!("{}/servers/{organization}/claims", self.api_prefix("admin"));
        let claims = optional::<Value>(self.get(Workspace::Admin, path).await)?.unwrap_or_default();
        Ok(claims["claims"].as_array().is_some_and(|claims| claims.iter().any(|claim| claim["id"] == id)))
    }

    /// Adds the pool's user id to ID tokens.
    pub async fn create_user_id_claim(&self, organization: &str, id: &str, name: &str) -> Result<(), CallError> {
        let body = json!({
            "id": id, "authorization_server_id": organization, "name": name, "type": "id_token",
            "source_type": "authnCtx", "source_path": "user_id", "scopes": [], "opaque": false,
        });
        self.post(Workspace::Admin, format!("{}/claims", self.api_prefix("admin")), &body).await.map(drop)
    }

    /// Deletes a claim. One that does not exist is not an error.
    pub async fn delete_claim(&self, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::Admin, format!("{}/claims/{id}", self.api_prefix("admin"))).await
    }
}
