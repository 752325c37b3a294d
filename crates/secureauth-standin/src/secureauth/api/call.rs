//! An authenticated call of the management API.

use std::sync::MutexGuard;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::Value;

use crate::secureauth::response::ApiError;
use crate::secureauth::state::api::Workspace;
use crate::secureauth::state::objects::Objects;
use crate::secureauth::state::records::Json;
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::web::Fields;
use signpost_core::Random;

/// A call with a valid token.
pub(crate) struct Call<'a> {
    pub standin: &'a SecureAuthStandIn,
    /// The token's workspace.
    pub workspace: Workspace,
    pub method: &'a Method,
    pub query: Fields,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    pub body: &'a Bytes,
    /// The token's scopes.
    pub scopes: String,
}

impl Call<'_> {
    /// The body as a JSON object.
    pub(crate) fn json(&self) -> Result<Json, ApiError> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(ApiError::bad_request("the body is not an object")),
            Err(error) => Err(ApiError::bad_request(format!("the body is not JSON: {error}"))),
        }
    }

    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.standin.api().objects()
    }

    pub(crate) fn random(&self) -> &Random {
        self.standin.random()
    }

    /// Fails with 405 for another method.
    pub(crate) fn require_method(&self, method: &Method) -> Result<(), ApiError> {
        if self.method == method { Ok(()) } else { Err(ApiError::method_not_allowed()) }
    }

    /// Fails with 403 unless the token has one of the scopes.
    pub(crate) fn require_scope(&self, scopes: &[&str]) -> Result<(), ApiError> {
        let has = self.scopes.split_whitespace().any(|one| scopes.contains(&one));
        if has || self.workspace == Workspace::Admin {
            Ok(())
        } else {
            Err(ApiError::forbidden(scopes.first().copied().unwrap_or_default()))
        }
    }

    /// The page size of a list, by default 20. The maximum of 100 is our choice.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        match self.query.get("limit") {
            None => Ok(20),
            Some(text) => match text.parse() {
                Ok(limit @ 1..=100) => Ok(limit),
                _ => Err(ApiError::validation_error("limit is not a number from 1 to 100")),
            },
        }
    }

    pub(crate) fn tenant(&self) -> &str {
        self.standin.tenant()
    }

    /// The current time in the vendor's format.
    pub(crate) fn now(&self) -> String {
        self.standin.now().to_string()
    }
}
