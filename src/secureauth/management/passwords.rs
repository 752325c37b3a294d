//! Passwords and activation. Passwords pass through: nothing is kept, and nothing is made from them that is sent elsewhere.

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::calls::{Call, CallError};
use super::{Management, Workspace};

/// What is to become of a user's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordState {
    /// Good.
    Valid,
    /// Not to be used until it is reset.
    MustBeReset,
    /// Good once more; then a new one is asked for.
    MustBeChanged,
}

impl PasswordState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::MustBeReset => "must_be_reset",
            Self::MustBeChanged => "must_be_changed",
        }
    }
}

impl Management {
    /// Changes the password of somebody who knows the old one.
    ///
    /// # Errors
    /// No answer, or a refusal: 401 when the old one is wrong, 422 when the new one is not good enough, 404 for nobody.
    pub async fn change_password(
        &self,
        pool: &str,
        user: &str,
        (old, new): (&SecretString, &SecretString),
    ) -> Result<(), CallError> {
        let body = json!({ "old_password": old.expose_secret(), "new_password": new.expose_secret() });
        self.post_secret(format!("{}/{user}/change-password", self.users_path(pool)), &body).await
    }

    /// Says what is to become of a user's password.
    ///
    /// # Errors
    /// No answer, or a refusal: 422 when the user has none.
    pub async fn set_password_state(&self, pool: &str, user: &str, state: PasswordState) -> Result<(), CallError> {
        let path = format!("{}/{user}/password/state", self.users_path(pool));
        self.put(Workspace::System, path, &json!({ "state": state.as_str() })).await.map(drop)
    }

    /// Has a mail with a link for a new password sent to an address of a user. The vendor answers the same whether it was
    /// sent or not. The organization says how the mail looks.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn request_reset(
        &self,
        pool: &str,
        organization: &str,
        (user, address): (&str, &str),
    ) -> Result<(), CallError> {
        self.post_secret(self.reset_path(pool, organization), &json!({ "address": address, "userID": user })).await
    }

    /// The same for a user whose id is not known, by an identifier.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn request_reset_by_identifier(
        &self,
        pool: &str,
        organization: &str,
        (identifier, address): (&str, &str),
    ) -> Result<(), CallError> {
        self.post_secret(self.reset_path(pool, organization), &json!({ "address": address, "identifier": identifier }))
            .await
    }

    /// Sets a new password by the code of a mail.
    ///
    /// # Errors
    /// No answer, or a refusal: 401 for every wrong code, 422 when the password is not good enough.
    pub async fn complete_reset(
        &self,
        pool: &str,
        user: &str,
        (code, new): (&SecretString, &SecretString),
    ) -> Result<(), CallError> {
        let body = json!({ "code": code.expose_secret(), "new_password": new.expose_secret(), "userID": user });
        self.post_secret(format!("{}/password/reset/complete", self.self_service_path(pool)), &body).await
    }

    /// Has a mail sent to a user who is `new`: by its link a first password is set. Afterwards the sign-in goes on at
    /// `sign_in`.
    ///
    /// # Errors
    /// No answer, or a refusal.
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

    /// The idempotency key is a random one: one made from the request would be made from the password.
    async fn post_secret(&self, path: String, body: &Value) -> Result<(), CallError> {
        let call =
            Call::new(Workspace::System, Method::POST, path).body(body).idempotency_key(self.random.token::<32>());
        self.call(call.verifies_user_secret()).await.map(drop)
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
