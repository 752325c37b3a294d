//! Overload: an instance works on a limited number of requests at a time. Further ones wait a moment and are refused then, which
//! helps all users more than a queue that only grows.
//!
//! A request is counted after its body has arrived: a client that sends slowly takes up nothing but its connection.

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_body_util::LengthLimitError;

use super::HttpError;
use crate::state::AppState;

/// A short burst only waits. Customers who wait longer come back sooner than they would get their turn.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// In bytes. Forms and JSON documents are small.
pub const MAX_BODY: usize = 64 * 1024;

/// Reads the body, of at most [`MAX_BODY`], and waits for a turn. Answers 503 with `Retry-After` if there is none.
pub async fn admit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let request = match with_whole_body(request).await {
        Ok(request) => request,
        Err(refused) => return refused.into_response(),
    };
    let Ok(Ok(_turn)) = tokio::time::timeout(MAX_WAIT, state.turns.acquire()).await else {
        state.metrics.record_shed_request();
        return HttpError::overloaded().into_response();
    };
    next.run(request).await
}

async fn with_whole_body(request: Request) -> Result<Request, StatusCode> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    if request.body().size_hint().lower() > MAX_BODY as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.map_err(|error| {
        let is_too_long = error.source().is_some_and(|cause| cause.is::<LengthLimitError>());
        if is_too_long { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST }
    })?;
    Ok(Request::from_parts(head, Body::from(body)))
}
