//! Problem documents (RFC 9457) for every error and bare error status.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::HttpError;
use crate::web::error::FieldError;
use crate::web::request_id::RequestId;
use signpost_core::FieldErrors;

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// `urn:signpost:problem:` and an error code. Codes do not change from version to version.
    #[schema(examples("urn:signpost:problem:not_found"))]
    r#type: String,
    /// The reason phrase of the HTTP status.
    #[schema(examples("Not Found"))]
    title: &'static str,
    /// The HTTP status.
    #[schema(examples(404))]
    status: u16,
    /// What happened, and how to fix it.
    #[schema(examples("No such resource exists, or the API key has no access to it."))]
    detail: String,
    /// The id of the request in the log. The header `X-Request-Id` has it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("5f0c4e1a92b7"))]
    request_id: Option<String>,
    /// The invalid fields of the request body.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: Box<[FieldError]>,
}

/// An error with a code and a detail of its own.
pub(super) fn problem(status: StatusCode, code: &'static str, detail: &str) -> HttpError {
    HttpError { reason: code, detail: Some(detail.to_owned()), ..HttpError::from_status(status) }
}

/// The resource does not exist, or the key has no access to it: clients cannot tell these apart.
pub(super) fn not_found() -> HttpError {
    HttpError::from_status(StatusCode::NOT_FOUND)
}

/// A query parameter is invalid.
pub(super) fn invalid_parameter(detail: &str) -> HttpError {
    problem(StatusCode::BAD_REQUEST, "invalid_parameter", detail)
}

/// Fields of the body are invalid. Each is named by its path, with dots between names.
pub(super) fn validation_failed<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> HttpError {
    let field_error =
        |(field, detail): (&str, String)| FieldError::new(format!("#/{}", field.replace('.', "/")), detail);
    let fields = fields.into_iter().map(field_error).collect();
    let detail = "Some fields are invalid. `errors` lists them.";
    HttpError { fields, ..problem(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail) }
}

/// Field errors as a problem.
pub(super) fn invalid_fields(errors: &FieldErrors) -> HttpError {
    validation_failed(errors.iter().map(|error| (error.field.as_str(), error.message.clone())))
}

/// Renders every error and every bare error status as a problem document.
pub async fn render(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    // No identifier has a NUL character, and PostgreSQL refuses one in a text.
    let has_nul = request.uri().path_and_query().is_some_and(|address| address.as_str().contains("%00"));
    let mut response = if has_nul { StatusCode::BAD_REQUEST.into_response() } else { next.run(request).await };
    let status = response.status();
    let error = response.extensions_mut().remove::<HttpError>();
    if error.is_none() && !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let error = error.unwrap_or_else(|| HttpError::from_status(status));
    let retry_after = error.retry_after();
    let body = Problem {
        r#type: format!("urn:signpost:problem:{}", error.reason),
        title: error.status.canonical_reason().unwrap_or("Error"),
        status: error.status.as_u16(),
        detail: error.detail.unwrap_or_else(|| default_detail(error.status).to_owned()),
        request_id: id.map(|RequestId(id)| id),
        errors: error.fields,
    };
    let mut rendered = (error.status, Json(body)).into_response();
    let headers = rendered.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if error.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(retry_after) = retry_after {
        headers.insert(header::RETRY_AFTER, retry_after);
    }
    if let Some(allowed) = response.headers_mut().remove(header::ALLOW) {
        headers.insert(header::ALLOW, allowed);
    }
    rendered
}

fn default_detail(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 => "No such resource exists, or the API key has no access to it.",
        405 => "The resource does not support this method. The header `Allow` lists those it supports.",
        408 => "The request took too long to arrive.",
        413 => "The request body is too large.",
        421 => "This server does not serve the requested host.",
        431 => "The request headers are too large.",
        500.. => "The service is temporarily unavailable. Try again later.",
        _ => "The request is invalid.",
    }
}
