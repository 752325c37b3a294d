//! Problem details (RFC 9457) of every refusal and bare error status.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::web::Refusal;
use crate::web::layers::RequestId;

/// What no route has.
pub(super) async fn not_found() -> Refusal {
    problem(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.")
}

/// A refusal in a machine's words.
pub(super) fn problem(status: StatusCode, reason: &'static str, detail: &str) -> Refusal {
    Refusal { reason, detail: Some(detail.to_owned()), ..Refusal::from_status(status) }
}

/// A refusal that names the fields that are wrong, with dots, and says what is wrong with each.
pub(super) fn wrong_fields<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> Refusal {
    let pointer = |field: &str| format!("#/{}", field.replace('.', "/"));
    let fields = fields.into_iter().map(|(field, text)| (pointer(field), text)).collect();
    let detail = "Some fields cannot be as they are; see errors.";
    Refusal { fields, ..problem(StatusCode::UNPROCESSABLE_ENTITY, "wrong_fields", detail) }
}

/// A request's JSON body.
pub(super) fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let detail = "Send JSON, with Content-Type: application/json.";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", detail));
    }
    serde_json::from_slice(body).map_err(|error| {
        problem(StatusCode::BAD_REQUEST, "not_readable", &format!("The body is not as expected: {error}"))
    })
}

/// Makes a problem document of every refusal and of every bare error status.
pub async fn render(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    let refusal = response.extensions_mut().remove::<Refusal>();
    if refusal.is_none() && !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let refusal = refusal.unwrap_or_else(|| Refusal::from_status(status));
    let mut body = json!({
        "type": format!("urn:signpost:problem:{}", refusal.reason),
        "title": refusal.status.canonical_reason().unwrap_or("Error"),
        "status": refusal.status.as_u16(),
        "detail": refusal.detail.as_deref().unwrap_or("The request was not accepted."),
    });
    if let Some(RequestId(id)) = id {
        body["request_id"] = id.into();
    }
    if !refusal.fields.is_empty() {
        // As in RFC 9457, section 3.
        let errors = refusal.fields.iter().map(|(pointer, detail)| json!({ "pointer": pointer, "detail": detail }));
        body["errors"] = errors.collect();
    }
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    let mut answer = (refusal.status, kind, body.to_string()).into_response();
    if refusal.status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
    }
    answer
}
