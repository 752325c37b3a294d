//! What the management API answers: a status, perhaps a body, perhaps a version; or a problem in the vendor's form.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::web::no_store;

/// An answer to be sent, and to be replayed for an idempotency key.
#[derive(Clone, Debug)]
pub(super) struct ApiResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// JSON, if there is a body at all.
    pub body: Option<Value>,
    /// Version of the one resource in the body, for `ETag`.
    pub version: Option<u64>,
}

/// An answer, or what is wrong.
pub(super) type ApiResult = Result<ApiResponse, ApiError>;

/// What is wrong, in the vendor's words: `{status_code, error, error_code, details}`.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub details: String,
}

impl ApiResponse {
    /// 200 with a list.
    pub(super) fn list(body: Value) -> ApiResult {
        Ok(Self { status: StatusCode::OK, body: Some(body), version: None })
    }

    /// 200 with one resource.
    pub(super) fn single(body: Value, version: u64) -> ApiResult {
        Ok(Self { status: StatusCode::OK, body: Some(body), version: Some(version) })
    }

    /// 201 with one resource.
    pub(super) fn created(body: Value, version: u64) -> ApiResult {
        Ok(Self { status: StatusCode::CREATED, body: Some(body), version: Some(version) })
    }

    /// 204.
    pub(super) fn no_content() -> ApiResult {
        Ok(Self { status: StatusCode::NO_CONTENT, body: None, version: None })
    }

    /// As HTTP.
    pub(super) fn into_response(self) -> Response {
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

    /// 400: the request cannot be read.
    pub(super) fn bad_request(details: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", details.into())
    }

    /// 401 in the form that makes clients mint a new token.
    pub(super) fn invalid_token() -> Self {
        let details = "the access token is missing, expired, or of another workspace";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_access_token", details.to_owned())
    }

    /// 401 for everything that is wrong with a code or a password.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "the code or the user is not right".to_owned())
    }

    /// 403: a scope is missing.
    pub(super) fn forbidden(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("the scope {scope} is needed"))
    }

    /// 404.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} does not exist"))
    }

    /// 405.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not by this method".to_owned())
    }

    /// 409.
    pub(super) fn conflict(details: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", details.into())
    }

    /// 412: `If-Match` names another version.
    pub(super) fn precondition_failed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", "the resource has changed".to_owned())
    }

    /// 422: the request can be read, and is wrong.
    pub(super) fn validation_error(details: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_error", details.into())
    }

    /// As an answer.
    pub(super) fn into_api_response(self) -> ApiResponse {
        let body = json!({
            "status_code": self.status.as_u16(),
            "error": self.status.canonical_reason().unwrap_or_default(),
            "error_code": self.code,
            "details": { "message": self.details },
        });
        ApiResponse { status: self.status, body: Some(body), version: None }
    }
}

/// A version as `ETag` has it.
pub(super) fn etag(version: u64) -> String {
    format!("\"v{version}\"")
}

/// A value as JSON; ours always can be.
pub(super) fn to_json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
