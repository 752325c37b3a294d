//! Passwords and activation. Passwords are neither stored nor used to derive anything else.

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::calls::Call;
use super::client::{Management, Workspace};
use super::error::CallError;

impl Management {
    /// Changes the password of a user who knows the old one.
    ///
    /// # Errors
    /// 401 for a wrong old password, 422 for a new password that violates the policy, 404 for an unknown user.
    pub async fn change_password(
        &self,
        pool: &str,
        user: &str,
        (old, new): (&SecretString, &SecretString),
    ) -> Result<(), CallError> {
        let body = json!({ "old_password": old.expose_secret(), "new_password": new.expose_secret() });
        self.post_secret(format!("{}/{user}/change-password", self.users_path(pool)), &body).await
    }

    /// Requests a reset mail to an address of a user. SecureAuth's response does not tell whether it was sent. The organization
    /// determines the look of the mail.
    pub async fn request_reset(
        &self,
        pool: &str,
        organization: &str,
        (user, address): (&str, &str),
    ) -> Result<(), CallError> {
        self.post_secret(self.reset_path(pool, organization), &json!({ "address": address, "userID": user })).await
    }

    /// Requests a reset mail for a user whose id is unknown.
    pub async fn request_reset_by_identifier(
        &self,
        pool: &str,
        organization: &str,
        (identifier, address): (&str, &str),
    ) -> Result<(), CallError> {
        self.post_secret(self.reset_path(pool, organization), &json!({ "address": address, "identifier": identifier }))
            .await
    }

    /// Requests a mail to a `new` user, whose link sets a first password and then leads to `sign_in`.
    pub async fn send_activation(
        &self,
        pool: &str,
        organization: &str,
        (user, address): (&str, &str),
        sign_in: &Url,
    ) -> Result<(), CallError> {
        let query = query(&[
            ("code_type_in_message", "link"),
            ("server_id", organization),
            ("post_activation_url", sign_in.as_str()),
            ("mode", "invitation"),
        ]);
        let path = format!("{}/{user}/activation/send?{query}", self.users_path(pool));
        self.post_secret(path, &json!({ "address": address })).await
    }

    fn reset_path(&self, pool: &str, organization: &str) -> String {
        let query = query(&[("code_type_in_message", "link"), ("server_id", organization)]);
        format!("{}/password/reset/request?{query}", self.self_service_path(pool))
    }

    fn self_service_path(&self, pool: &str) -> String {
        format!("{}/system/pools/{pool}/user", self.api_prefix("identity"))
    }

    /// The idempotency key is random: a hash of the request would be a hash of the password.
    async fn post_secret(&self, path: String, body: &Value) -> Result<(), CallError> {
        let call =
            Call::new(Workspace::System, Method::POST, path).body(body).idempotency_key(self.random.token::<32>());
        self.call(call.verifies_user_secret()).await.map(drop)
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
