//! Requests of each HTTP method, and their responses.

use http::Method;
use serde_json::Value;

use super::calls::{ApiResponse, Call};
use super::client::{Management, Workspace};
use super::error::CallError;

/// Fields of organizations and pools that a response has and a request must not have.
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
/// Attempts when another system changes the object meanwhile.
const MAX_CONFLICT_RETRIES: u32 = 3;

impl Management {
    /// Changes a part of an object. It is retried if another system changes the object meanwhile.
    pub(super) async fn read_modify_write(&self, path: String, modify: impl Fn(&mut Value)) -> Result<(), CallError> {
        let mut attempts = 0;
        loop {
            // SecureAuth does not document whether a PUT may leave fields out.
            let ApiResponse { mut body, etag } =
                self.call_with_etag(Call::new(Workspace::System, Method::GET, path.clone())).await?;
            modify(&mut body);
            if let Some(fields) = body.as_object_mut() {
                fields.retain(|name, _| !READ_ONLY_FIELDS.contains(&name.as_str()));
            }
            let put = Call::new(Workspace::System, Method::PUT, path.clone()).body(&body).if_match(etag.as_deref());
            attempts += 1;
            match self.call(put).await {
                Err(error) if error.is(412) && attempts < MAX_CONFLICT_RETRIES => {}
                done => return done.map(drop),
            }
        }
    }

    pub(super) async fn get(&self, workspace: Workspace, path: String) -> Result<Value, CallError> {
        self.call(Call::new(workspace, Method::GET, path)).await
    }

    /// SecureAuth repeats its first response to a call that is repeated within a minute. The idempotency key is a hash of the whole
    /// request. An organization that was rolled back and is created again by another job has another tag, so another key.
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

/// Returns `None` for a 404.
pub(super) fn optional<T: serde::de::DeserializeOwned>(
    answer: Result<Value, CallError>,
) -> Result<Option<T>, CallError> {
    match answer {
        Ok(value) => decode(value).map(Some),
        Err(error) if error.is(404) => Ok(None),
        Err(error) => Err(error),
    }
}
