//! What happens to every request before a handler sees it.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};

use super::paths;
use crate::routing::public_host;
use crate::state::AppState;
use signpost_core::text::hash64;

/// A cookie header longer than this is refused: no browser of ours has so many cookies.
const MAX_COOKIE_BYTES: usize = 16 * 1024;

/// What a request is called in the log and in its answer.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// One log line a request: method, route, status, milliseconds, id. Never a path with a value in it, never a query.
pub async fn log(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = format!("{:012x}", hash64(&state.random.bytes::<16>()) >> 16);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    tracing::info!(request = id, %method, route = route.as_deref().unwrap_or("-"), status, millis, "request");
    if let Ok(value) = id.parse() {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// Only the public host and billers' hosts are served. A biller's host is an address to bookmark: it leads to the biller's
/// path on the public host, where cookies live, or to its password reset.
pub async fn host(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.get_all(header::COOKIE).iter().map(|value| value.len()).sum::<usize>() > MAX_COOKIE_BYTES {
        return StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response();
    }
    // A proxy asks under the name by which it knows us; nothing is made of that name.
    if request.uri().path() == paths::VERIFY {
        return next.run(request).await;
    }
    let Some(host) = requested_host(headers, &request) else {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    };
    if host == public_host(&state.config) {
        return next.run(request).await;
    }
    let known = state.directory.billers().await.unwrap_or_else(|_| state.directory.last_known_billers());
    match known.by_host(&host) {
        Some(biller) => {
            let path = match request.uri().path() {
                paths::RESET | paths::WELL_KNOWN_CHANGE_PASSWORD => paths::biller_reset(&biller.slug),
                // Whoever asks whether a well-known address exists must not be led to a page.
                path if path.starts_with("/.well-known/") => return StatusCode::NOT_FOUND.into_response(),
                _ => paths::biller(&biller.slug),
            };
            let mut target = paths::absolute(&state.config, &path).to_string();
            let fields = super::fields::Fields::parse(request.uri().query().unwrap_or_default().as_bytes());
            for name in ["return_to", "state", "h", super::language::PARAMETER] {
                if let Some(value) = fields.as_ref().ok().and_then(|fields| fields.get(name)) {
                    target = paths::with_query(&target, name, value);
                }
            }
            Redirect::to(&target).into_response()
        }
        None => StatusCode::MISDIRECTED_REQUEST.into_response(),
    }
}

/// The one host that was asked for, in lower case. Two `Host` headers, or a target that names another, are none.
fn requested_host(headers: &HeaderMap, request: &Request) -> Option<String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?.to_ascii_lowercase();
    let another = request.uri().authority().is_some_and(|named| named.as_str().to_ascii_lowercase() != host);
    (hosts.next().is_none() && !another).then_some(host)
}
