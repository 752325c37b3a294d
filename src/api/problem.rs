//! Problem details (RFC 9457) of every error and bare error status.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::HttpError;
use crate::web::layers::RequestId;
use signpost_core::FieldErrors;

/// What is answered instead of what was asked for (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// `urn:signpost:problem:` and a reason, which stays the same from version to version.
    #[schema(examples("urn:signpost:problem:not_found"))]
    r#type: String,
    /// The status in words.
    #[schema(examples("Not Found"))]
    title: &'static str,
    /// The status.
    #[schema(examples(404))]
    status: u16,
    /// What happened, and what can be done.
    #[schema(examples("There is no such biller or job."))]
    detail: String,
    /// What the request is called in the log; also in the header `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("5f0c4e1a92b7"))]
    request_id: Option<String>,
    /// The parts of the body that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

/// A part of the body that is wrong (RFC 9457, section 3).
#[derive(Serialize, ToSchema)]
struct FieldError {
    /// Where it stands: a JSON pointer (RFC 6901) as a URI fragment.
    #[schema(examples("#/name"))]
    pointer: String,
    /// What is wrong with it.
    #[schema(examples("null is no value"))]
    detail: String,
}

/// What no route has.
pub(super) async fn not_found() -> HttpError {
    problem(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.")
}

/// An error in a machine's words.
pub(super) fn problem(status: StatusCode, reason: &'static str, detail: &str) -> HttpError {
    HttpError { reason, detail: Some(detail.to_owned()), ..HttpError::from_status(status) }
}

/// An error that names the fields that are wrong, with dots, and says what is wrong with each.
pub(super) fn validation_failed<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> HttpError {
    let pointer = |field: &str| format!("#/{}", field.replace('.', "/"));
    let fields = fields.into_iter().map(|(field, text)| (pointer(field), text)).collect();
    let detail = "Some fields cannot be as they are; see errors.";
    HttpError { fields, ..problem(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail) }
}

/// The same from errors that have their fields' names.
pub(super) fn invalid_fields(errors: &FieldErrors) -> HttpError {
    validation_failed(errors.iter().map(|error| (error.field.as_str(), error.message.clone())))
}

/// Makes a problem document of every error and of every bare error status.
pub async fn render(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    // No name of ours has a NUL, and PostgreSQL takes none.
    let has_nul = request.uri().path_and_query().is_some_and(|address| address.as_str().contains("%00"));
    let mut response = if has_nul { StatusCode::BAD_REQUEST.into_response() } else { next.run(request).await };
    let status = response.status();
    let error = response.extensions_mut().remove::<HttpError>();
    if error.is_none() && !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let error = error.unwrap_or_else(|| HttpError::from_status(status));
    let errors = error.fields.iter();
    let body = Problem {
        r#type: format!("urn:signpost:problem:{}", error.reason),
        title: error.status.canonical_reason().unwrap_or("Error"),
        status: error.status.as_u16(),
        detail: error.detail.unwrap_or_else(|| "The request was not accepted.".to_owned()),
        request_id: id.map(|RequestId(id)| id),
        errors: errors
            .map(|(pointer, detail)| FieldError { pointer: pointer.clone(), detail: detail.clone() })
            .collect(),
    };
    let mut answer = (error.status, Json(body)).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if error.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(allowed) = response.headers_mut().remove(header::ALLOW) {
        headers.insert(header::ALLOW, allowed);
    }
    answer
}
