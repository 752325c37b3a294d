//! Pages as answers: what stands around each, and the headers it needs.

use std::convert::Infallible;

use askama::Template;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use futures_util::stream::Stream;
use http::{HeaderValue, StatusCode};

use super::Console;
use super::pages::Chrome;
use super::staff::Staff;
use crate::web::headers::PagePolicy;
use crate::web::{HttpError, assets};

/// One script of our own, what it asks us for, and customers' pages in a frame without scripts.
const EXTRA_CSP: &str = "; script-src 'self'; connect-src 'self'; frame-src 'self'";

/// The frame of a page. Without a signed-in staff member it has no navigation.
pub(super) fn chrome(console: &Console, staff: Option<&Staff>) -> Chrome {
    Chrome {
        stylesheet: assets::CONSOLE_STYLESHEET.path.clone(),
        script: assets::CONSOLE_SCRIPT.path.clone(),
        logo: assets::LOGO.path.clone(),
        company: console.app.config.help.company.clone(),
        staff: staff.cloned(),
    }
}

/// Server-sent events (HTML standard, section 9.2).
pub(super) fn event_stream(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    // Proxies that buffer responses would hold the events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A page.
pub(super) fn page<T: Template>(
    console: &Console,
    staff: Option<&Staff>,
    status: StatusCode,
    build: impl FnOnce(Chrome) -> T,
) -> Result<Response, HttpError> {
    let html = build(chrome(console, staff)).render().map_err(|error| HttpError::internal(&error))?;
    let mut response = (status, Html(html)).into_response();
    response.extensions_mut().insert(PagePolicy { extra_csp: EXTRA_CSP, ..PagePolicy::default() });
    Ok(response)
}
