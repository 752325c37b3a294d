//! Refusals as pages for staff: what happened, and why.

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
        400 => ("That could not be read", "Go back and try again. If it came from a link, the link was changed."),
        403 if error.reason == "cross_site" => {
            ("This came from another site", "Nothing was done. Open the page here and send its form again.")
        }
        403 if error.reason == "approval_denied" => ("Another person must approve this", "Ask another operator."),
        403 => ("Your role does not allow this", "Ask a colleague with the required role, or request that role."),
        404 => ("There is nothing here", "It may have been removed, or the address is wrong."),
        405 => ("This page is asked for in another way", "Open it from the console's own pages."),
        409 => ("This is not possible at the moment", "Look at how things stand now, then decide again."),
        413 => ("That is too long", "Send it in several parts."),
        421 => ("This address is not the console's", "Use the address that you were given."),
        429 => (
            "Too many lookups",
            "There is a limit for each person. Wait a minute; if the day's limit is reached, ask an operator.",
        ),
        502 => ("SecureAuth refused", "Nothing more was done. What it said is below."),
        503 => (
            "This does not work at the moment",
            "Try again in a minute. Sign-ins of customers are not affected by this page.",
        ),
        500.. => ("Something went wrong", "It has been written to the log. Try again in a minute."),
        _ => ("This was refused", "Nothing was done."),
    }
}
