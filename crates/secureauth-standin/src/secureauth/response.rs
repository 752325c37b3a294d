//! Responses and errors of the management API.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::web::no_store;

/// A response that can be replayed for an idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct ApiResponse {
    pub status: StatusCode,
    /// JSON.
    pub body: Option<Value>,
    /// Version of the one resource in the body, for `ETag`.
    pub version: Option<u64>,
}

pub(crate) type ApiResult = Result<ApiResponse, ApiError>;

/// An error in the vendor's form: `{status_code, error, error_code, details}`.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub details: String,
}

impl ApiResponse {
    pub(crate) fn list(body: Value) -> ApiResult {
        Ok(Self { status: StatusCode::OK, body: Some(body), version: None })
    }

    pub(crate) fn single(body: Value, version: u64) -> ApiResult {
        Ok(Self { status: StatusCode::OK, body: Some(body), version: Some(version) })
    }

    pub(crate) fn created(body: Value, version: u64) -> ApiResult {
        Ok(Self { status: StatusCode::CREATED, body: Some(body), version: Some(version) })
    }

    pub(crate) fn no_content() -> ApiResult {
        Ok(Self { status: StatusCode::NO_CONTENT, body: None, version: None })
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, Json(body)).into_response(),
            None => self.status.into_response(),
        };
        if let Some(version) = self.version
            && let Ok(value) = HeaderValue::try_from(etag(version))
        {
            response.headers_mut().insert(header::ETAG, value);
        }
        no_store(response)
    }
}

impl ApiError {
    const fn new(status: StatusCode, code: &'static str, details: String) -> Self {
        Self { status, code, details }
    }

    /// The request cannot be parsed.
    pub(crate) fn bad_request(details: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", details.into())
    }

    /// Clients request a new token after it.
    pub(crate) fn invalid_token() -> Self {
        let details = "the access token is missing, expired, or of another workspace";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_access_token", details.to_owned())
    }

    /// One error for a wrong code, user or password.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "the code or the user is not right".to_owned())
    }

    pub(crate) fn forbidden(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("the scope {scope} is needed"))
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} does not exist"))
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not by this method".to_owned())
    }

    pub(crate) fn conflict(details: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", details.into())
    }

    /// `If-Match` names another version.
    pub(crate) fn precondition_failed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", "the resource has changed".to_owned())
    }

    /// The request can be parsed but is invalid.
    pub(crate) fn validation_error(details: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_error", details.into())
    }

    pub(crate) fn into_api_response(self) -> ApiResponse {
        let body = json!({
            "status_code": self.status.as_u16(),
            "error": self.status.canonical_reason().unwrap_or_default(),
            "error_code": self.code,
            "details": { "message": self.details },
        });
        ApiResponse { status: self.status, body: Some(body), version: None }
    }
}

pub(crate) fn etag(version: u64) -> String {
    format!("\"v{version}\"")
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The vendor's generic 404, outside the management API.
pub(crate) fn not_found(hint: &str) -> Response {
    let body = json!({
        "status_code": 404,
        "error": "not_found",
        "error_code": "not_found",
        "error_hint": hint,
        "error_description": "The requested resource was not found.",
    });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
