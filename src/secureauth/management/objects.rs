//! The things there are, and the calls on them.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::calls::{ApiResponse, Call, CallError};
use super::{Management, PasswordPolicy, Workspace};

/// What organizations and pools are answered with, and a change of them does not take.
const READ_ONLY_FIELDS: [&str; 8] = [
    "issuer_url",
    "number_of_child_organizations",
    "subject_format",
    "subject_identifier_algorithm_salt",
    "theme_id",
    "number_of_users",
    "number_of_standard_users",
    "number_of_jit_users",
];
/// How often a change is begun again because somebody else has changed the thing meanwhile.
const MAX_CONFLICT_RETRIES: u32 = 3;

/// An organization: a biller's own issuer.
#[derive(Clone, Debug, Deserialize)]
pub struct Organization {
    /// Permanent id.
    pub id: String,
    /// Name on the vendor's pages.
    #[serde(default)]
    pub name: String,
    /// Switched off without being deleted.
    #[serde(default)]
    pub deactivated: bool,
    /// Its issuer identifier.
    #[serde(default)]
    pub issuer_url: Option<String>,
    /// The tag it was made with.
    #[serde(default)]
    pub description: String,
}

/// A pool of users.
#[derive(Clone, Debug, Deserialize)]
pub struct Pool {
    /// Permanent id.
    pub id: String,
    /// Name on the vendor's pages.
    #[serde(default)]
    pub name: String,
    /// The organization it belongs to.
    #[serde(default)]
    pub workspace_id: Option<String>,
    /// How many users it holds.
    #[serde(default)]
    pub number_of_users: Option<i64>,
    /// Means of signing in.
    #[serde(default)]
    pub authentication_mechanisms: Option<Vec<String>>,
    /// Second factors.
    #[serde(default)]
    pub second_factor_authentication_mechanisms: Option<Vec<String>>,
    /// Which passwords it takes.
    #[serde(default, deserialize_with = "PasswordPolicy::deserialize_lenient")]
    pub password_policy: PasswordPolicy,
    /// Capital letters in usernames make no difference.
    #[serde(default)]
    pub identifier_case_insensitive: bool,
    /// Anybody may register.
    #[serde(default)]
    pub public_registration_allowed: bool,
}

/// What is ours to say about a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings<'a> {
    /// Name on the vendor's pages.
    pub name: &'a str,
    /// Means of signing in, and second factors; none: they are the biller's own provider's.
    pub mechanisms: Option<(&'a [&'a str], &'a [&'a str])>,
    /// Which passwords it takes.
    pub policy: PasswordPolicy,
}

impl PoolSettings<'_> {
    /// Sets it in a pool as it is; everything else there stays.
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

/// A pool to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPool<'a> {
    /// Permanent id.
    pub id: &'a str,
    /// The organization whose users it holds.
    pub organization: &'a str,
    /// The rest.
    pub settings: PoolSettings<'a>,
}

/// A login client to be registered.
#[derive(Clone, Debug)]
pub struct NewClient<'a> {
    /// The organization it belongs to.
    pub organization: &'a str,
    /// Permanent id.
    pub client_id: &'a str,
    /// Name on the vendor's pages.
    pub name: &'a str,
    /// Where codes go.
    pub redirect_uri: &'a Url,
    /// Where people go after signing out.
    pub post_logout_redirect_uri: &'a Url,
    /// Where logout tokens go.
    pub backchannel_logout_uri: &'a Url,
}

impl Management {
    /// The organization with exactly this id.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn organization(&self, id: &str) -> Result<Option<Organization>, CallError> {
        let path = format!("{}/organizations/{id}", self.api_prefix("system"));
        optional(self.get(Workspace::System, path).await)
    }

    /// Makes an organization; the tag tells later whose it is.
    ///
    /// # Errors
    /// No answer, or a refusal: 409 when the id is taken.
    pub async fn create_organization(&self, id: &str, name: &str, tag: &str) -> Result<Organization, CallError> {
        let body = json!({ "id": id, "name": name, "description": tag });
        let path = format!("{}/organizations", self.api_prefix("system"));
        decode(self.post(Workspace::System, path, &body).await?)
    }

    /// Switches an organization off or on, and leaves the rest of it as it is.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn set_organization_deactivated(&self, id: &str, deactivated: bool) -> Result<(), CallError> {
        let path = format!("{}/organizations/{id}", self.api_prefix("system"));
        self.read_modify_write(path, |organization| organization["deactivated"] = json!(deactivated)).await
    }

    /// Gives an organization another name.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn rename_organization(&self, id: &str, name: &str) -> Result<(), CallError> {
        let path = format!("{}/organizations/{id}", self.api_prefix("system"));
        self.read_modify_write(path, |organization| organization["name"] = json!(name)).await
    }

    /// Changes what is ours to say about a pool.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn update_pool(&self, id: &str, settings: &PoolSettings<'_>) -> Result<(), CallError> {
        self.read_modify_write(format!("{}/system/pools/{id}", self.api_prefix("identity")), |pool| {
            settings.apply_to(pool)
        })
        .await
    }

    /// Changes a thing as it is there, and leaves the rest of it; tried again where somebody else has changed it since.
    async fn read_modify_write(&self, path: String, modify: impl Fn(&mut Value)) -> Result<(), CallError> {
        let mut attempts = 0;
        loop {
            // The vendor does not say whether a change may leave something out.
            let ApiResponse { mut body, etag } =
                self.call_with_etag(Call::new(Workspace::System, Method::GET, path.clone())).await?;
            modify(&mut body);
            if let Some(fields) = body.as_object_mut() {
                fields.retain(|name, _| !READ_ONLY_FIELDS.contains(&name.as_str()));
            }
            let put = Call::new(Workspace::System, Method::PUT, path.clone()).body(&body).if_match(etag.as_deref());
            attempts += 1;
            match self.call(put).await {
                // Somebody else has changed it since: looked at again.
                Err(error) if error.is(412) && attempts < MAX_CONFLICT_RETRIES => {}
                done => return done.map(drop),
            }
        }
    }

    /// Deletes an organization; one that is gone is fine.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn delete_organization(&self, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::System, format!("{}/organizations/{id}", self.api_prefix("system"))).await
    }

    /// The pool with exactly this id.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn pool(&self, id: &str) -> Result<Option<Pool>, CallError> {
        optional(self.get(Workspace::System, format!("{}/system/pools/{id}", self.api_prefix("identity"))).await)
    }

    /// Makes a pool for an organization, with the means of signing in that its users have.
    ///
    /// # Errors
    /// No answer, or a refusal: 409 when the id is taken.
    pub async fn create_pool(&self, new: &NewPool<'_>) -> Result<Pool, CallError> {
        let mut body = json!({ "tenant_id": self.tenant(), "id": new.id, "workspace_id": new.organization });
        new.settings.apply_to(&mut body);
        decode(self.post(Workspace::System, format!("{}/system/pools", self.api_prefix("identity")), &body).await?)
    }

    /// Deletes a pool with its users; one that is gone is fine.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn delete_pool(&self, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::System, format!("{}/system/pools/{id}", self.api_prefix("identity"))).await
    }

    fn connections(&self, organization: &str) -> String {
        format!("{}/servers/{organization}/idps/identity_pool", self.api_prefix("admin"))
    }

    /// Whether the connection of a pool to its organization is there.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn has_connection(&self, organization: &str, id: &str) -> Result<bool, CallError> {
        let path = format!("{}/{id}", self.connections(organization));
        Ok(optional::<Value>(self.get(Workspace::Admin, path).await)?.is_some())
    }

    /// Lets an organization sign in the users of a pool.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn create_connection(&self, organization: &str, id: &str, pool: &str) -> Result<(), CallError> {
        let body = json!({ "id": id, "identity_pool_id": pool, "name": "Customers", "disabled": false });
        self.post(Workspace::Admin, self.connections(organization), &body).await.map(drop)
    }

    /// Takes a connection away; one that is gone is fine.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn delete_connection(&self, organization: &str, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::Admin, format!("{}/servers/{organization}/idps/{id}", self.api_prefix("admin"))).await
    }

    /// Whether a login client with exactly this id is there.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn has_client(&self, id: &str) -> Result<bool, CallError> {
        let path = format!("{}/clients/{id}", self.api_prefix("admin"));
        Ok(optional::<Value>(self.get(Workspace::Admin, path).await)?.is_some())
    }

    /// Registers a login client with a secret of ours.
    ///
    /// # Errors
    /// No answer, or a refusal: 409 when the id is taken.
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

    /// Deletes a login client; one that is gone is fine.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn delete_client(&self, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::Admin, format!("{}/clients/{id}", self.api_prefix("admin"))).await
    }

    /// Whether an organization has a claim with exactly this id.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn has_claim(&self, organization: &str, id: &str) -> Result<bool, CallError> {
        // One claim cannot be asked for; all of an organization can.
        let path = format!("{}/servers/{organization}/claims", self.api_prefix("admin"));
        let claims = optional::<Value>(self.get(Workspace::Admin, path).await)?.unwrap_or_default();
        Ok(claims["claims"].as_array().is_some_and(|claims| claims.iter().any(|claim| claim["id"] == id)))
    }

    /// Puts the pool's user id into ID tokens.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn create_user_id_claim(&self, organization: &str, id: &str, name: &str) -> Result<(), CallError> {
        let body = json!({
            "id": id, "authorization_server_id": organization, "name": name, "type": "id_token",
            "source_type": "authnCtx", "source_path": "user_id", "scopes": [], "opaque": false,
        });
        self.post(Workspace::Admin, format!("{}/claims", self.api_prefix("admin")), &body).await.map(drop)
    }

    /// Takes a claim away; one that is gone is fine.
    ///
    /// # Errors
    /// No answer, or a refusal other than 404.
    pub async fn delete_claim(&self, id: &str) -> Result<(), CallError> {
        self.delete(Workspace::Admin, format!("{}/claims/{id}", self.api_prefix("admin"))).await
    }

    pub(super) async fn get(&self, workspace: Workspace, path: String) -> Result<Value, CallError> {
        self.call(Call::new(workspace, Method::GET, path)).await
    }

    pub(super) async fn put(&self, workspace: Workspace, path: String, body: &Value) -> Result<Value, CallError> {
        self.call(Call::new(workspace, Method::PUT, path).body(body)).await
    }

    /// A repetition within the vendor's minute is answered as the first one was: so the key is that of the whole request, and
    /// an organization that was undone and is made again by another job, whose tag it carries, is another request.
    pub(super) async fn post(&self, workspace: Workspace, path: String, body: &Value) -> Result<Value, CallError> {
        let key = signpost_core::text::sha256(format!("{path} {body}").as_bytes());
        self.call(Call::new(workspace, Method::POST, path).body(body).idempotency_key(key)).await
    }

    pub(super) async fn delete(&self, workspace: Workspace, path: String) -> Result<(), CallError> {
        match self.call(Call::new(workspace, Method::DELETE, path)).await {
            Err(error) if !error.is(404) => Err(error),
            _ => Ok(()),
        }
    }
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, CallError> {
    serde_json::from_value(value).map_err(|_| CallError::OutcomeUnknown("response_malformed"))
}

/// What was found; none for 404.
pub(super) fn optional<T: serde::de::DeserializeOwned>(
    answer: Result<Value, CallError>,
) -> Result<Option<T>, CallError> {
    match answer {
        Ok(value) => decode(value).map(Some),
        Err(error) if error.is(404) => Ok(None),
        Err(error) => Err(error),
    }
}
