//! Error pages for staff.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header;

use super::pages::ErrorPage;
use super::staff::Staff;
use super::{Console, respond};
use crate::web::HttpError;

/// Makes a page of every error and of every bare error status.
pub(super) async fn render(State(console): State<Console>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    let error = response.extensions_mut().remove::<HttpError>();
    let is_page = response.headers().contains_key(header::CONTENT_TYPE) && error.is_none();
    let is_error = status.is_client_error() || status.is_server_error();
    if is_page && !is_bare(&response) || !is_error {
        return response;
    }
    let staff = response.extensions_mut().remove::<Staff>();
    let error = error.unwrap_or_else(|| HttpError::from_status(status));
    let (title, text) = error_text(&error);
    let detail = error.detail.clone();
    let page =
        respond::page(&console, staff.as_ref(), error.status, |chrome| ErrorPage { chrome, title, text, detail });
    let mut page = page.unwrap_or_else(IntoResponse::into_response);
    if let Some(retry_after) = error.retry_after() {
        page.headers_mut().insert(header::RETRY_AFTER, retry_after);
    }
    page
}

/// The short texts of layers, such as that of a body that is too long.
fn is_bare(response: &Response) -> bool {
    let media = response.headers().get(header::CONTENT_TYPE);
    media.is_some_and(|media| media.as_bytes().starts_with(b"text/plain")) && !response.status().is_success()
}

fn error_text(error: &HttpError) -> (&'static str, &'static str) {
    match error.status.as_u16() {
        400 => ("Invalid request", "Go back and try again. If you followed a link, check that it is complete."),
        403 if error.reason == "cross_site" => (
            "Cross-site request blocked",
            "Nothing was changed. Open the page in the console and submit the form again.",
        ),
        403 if error.reason == "approval_denied" => {
            ("Approval not possible", "Open the pending approvals to see the current state.")
        }
        403 => ("Access denied", "Your role does not allow this. Ask your administrator for the required role."),
        404 => ("Page not found", "Check the address. The item may have been removed."),
        405 => ("Method not allowed", "Open this page from the console navigation."),
        409 => ("Conflict with the current state", "Reload the page and try again."),
        413 => ("Request too large", "Split the request into smaller parts."),
        421 => ("Wrong host", "Use the configured address of the console."),
        429 => (
            "Too many lookups",
            "You have reached your lookup limit. Wait a minute. If you have reached the daily limit, try again tomorrow.",
        ),
        502 => ("SecureAuth rejected the request", "The remaining steps were not run. See the response below."),
        503 => ("Service unavailable", "Try again in a minute. Customer sign-ins are not affected."),
        500.. => ("Something went wrong", "The error has been logged. Try again in a minute."),
        _ => ("Request rejected", "Nothing was changed."),
    }
}
