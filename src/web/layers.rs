//! Middleware of every request: the request log and the host check.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::{StatusCode, header};
use url::Url;

use super::request_id::{self, IncomingIds, RequestId};
use super::{HttpError, paths};
use crate::directory::Biller;
use crate::routing::public_host;
use crate::state::AppState;
use crate::telemetry::metrics::Listener;
use crate::telemetry::traces::ServerRequest;
use crate::telemetry::{in_request_span, note_biller, request_span};
use signpost_core::Slug;
use signpost_core::text::hash64;

/// Longer `Cookie` headers get 431. A browser never has that many cookies of ours.
const MAX_COOKIE_BYTES: usize = 16 * 1024;

/// Gives each request an id and a span, and logs one line for it with status and duration. The log has the route's pattern
/// instead of the path, and no query, because these may contain personal data. The metrics count the same.
pub async fn log(
    state: &AppState,
    listener: Listener,
    mut request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let started = Instant::now();
    let incoming = IncomingIds::of(&request, &state.config.server.trusted_proxies);
    let new_id = || format!("{:012x}", hash64(&state.random.bytes::<16>()) >> 16);
    let id = incoming.request.clone().unwrap_or_else(new_id);
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.as_deref().unwrap_or("-");
    let slug = biller_in_path(route, request.uri().path()).map(str::to_owned);
    let method = request.method().clone();
    let own = listener_url(state, listener);
    let trace = state.traces.begin_request(&ServerRequest {
        method: &method,
        route,
        scheme: own.scheme(),
        host: own.host_str().unwrap_or_default(),
        request_id: &id,
        parent: incoming.trace_parent(),
    });
    let own_trace = trace.trace_id();
    let span = request_span(&id, method.as_str(), route, own_trace.as_deref().or(incoming.trace_id()));
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = in_request_span(span, &trace, async {
        // Only what names a biller is logged: a path can hold anything.
        let billers = state.directory.last_known_billers();
        if let Some(biller) = slug.and_then(|slug| billers.by_slug(&Slug::parse(&slug).ok()?).cloned()) {
            note_biller(biller.slug.as_str());
        }
        let response = next(request).await;
        let (status, duration) = (response.status().as_u16(), started.elapsed());
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, millis, "request");
        state.metrics.record_request(listener, route, method.as_str(), status, duration);
        trace.end(status);
        response
    })
    .await;
    if let Ok(value) = id.parse() {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    response
}

/// The address of the settings that a listener serves.
fn listener_url(state: &AppState, listener: Listener) -> &Url {
    let console = state.config.console.public_url.as_ref().filter(|_| listener == Listener::Console);
    console.unwrap_or(&state.config.server.public_url)
}

/// The segment of a path that stands for the biller in its route.
fn biller_in_path<'p>(route: &str, path: &'p str) -> Option<&'p str> {
    route.split('/').zip(path.split('/')).find_map(|(name, segment)| (name == "{slug}").then_some(segment))
}

/// Refuses paths that a browser would take for another host, on every listener, so that no page can repeat one as an address.
pub async fn local_path(request: Request, next: Next) -> Response {
    if paths::is_local_path(request.uri().path()) {
        next.run(request).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

/// Serves local paths (see [`local_path`]) of the public host. Requests for other hosts get a redirect or an error.
pub async fn host(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if !paths::is_local_path(request.uri().path()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match other_host(&state, &mut request).await {
        Some(response) => response,
        None => next.run(request).await,
    }
}

/// The response to a request for another host than the public one. A vanity host redirects to the biller's vanity path on the
/// public host, which is the host of our cookies, or to the biller's password reset.
async fn other_host(state: &AppState, request: &mut Request) -> Option<Response> {
    let headers = request.headers();
    if headers.get_all(header::COOKIE).iter().map(|value| value.len()).sum::<usize>() > MAX_COOKIE_BYTES {
        return Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response());
    }
    // A reverse proxy may send another host name. This route does not use it.
    if request.uri().path() == paths::VERIFY {
        return None;
    }
    let Some(host) = requested_host(request, state.config.server.public_url.scheme()) else {
        return Some(StatusCode::MISDIRECTED_REQUEST.into_response());
    };
    if paths::is_health(request.uri().path()) && is_ip_address(&host) {
        return None;
    }
    if host == public_host(&state.config) {
        // What follows compares origins with it.
        if let Ok(canonical) = host.parse() {
            request.headers_mut().insert(header::HOST, canonical);
        }
        return None;
    }
    let (known, error) = match state.directory.billers().await {
        Ok(known) => (known, None),
        Err(error) => (state.directory.last_known_billers(), Some(error)),
    };
    let response = match known.by_host(&host) {
        Some(_) if paths::is_site_file(request.uri().path()) => return None,
        Some(biller) => vanity_redirect(state, request, biller),
        // A biller may have got this host since the billers were last read.
        None => match error {
            Some(error) => HttpError::from(error).into_response(),
            None => StatusCode::MISDIRECTED_REQUEST.into_response(),
        },
    };
    Some(response)
}

fn vanity_redirect(state: &AppState, request: &Request, biller: &Biller) -> Response {
    let path = match request.uri().path() {
        paths::RESET | paths::WELL_KNOWN_CHANGE_PASSWORD => paths::biller_reset(&biller.slug),
        // Clients that probe for a well-known URI must not take a redirect for its existence (RFC 8615).
        path if path.starts_with(paths::WELL_KNOWN) => return StatusCode::NOT_FOUND.into_response(),
        _ => paths::biller(&biller.slug),
    };
    let mut target = paths::absolute(&state.config, &path).to_string();
    let fields = super::fields::Fields::parse(request.uri().query().unwrap_or_default().as_bytes());
    let Ok(fields) = fields else { return Redirect::to(&target).into_response() };
    let kept = ["state", "h", super::language::PARAMETER].map(|name| (name, fields.get(name)));
    for (name, value) in std::iter::once(("return_to", fields.return_target())).chain(kept) {
        if let Some(value) = value {
            target = paths::with_query(&target, name, value);
        }
    }
    Redirect::to(&target).into_response()
}

/// The requested host in its canonical form. None if there are several `Host` headers, or if the request target names another.
pub fn requested_host(request: &Request, scheme: &str) -> Option<String> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = canonical_host(hosts.next()?.to_str().ok()?, scheme);
    let another = request.uri().authority().is_some_and(|named| canonical_host(named.as_str(), scheme) != host);
    (hosts.next().is_none() && !another).then_some(host)
}

/// The one form of a host: lower case, without a trailing dot and without the scheme's default port (RFC 3986, section 6.2.3).
pub fn canonical_host(host: &str, scheme: &str) -> String {
    let host = host.to_ascii_lowercase();
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let (name, port) = host.rsplit_once(':').filter(|(_, port)| is_port(port)).unwrap_or((&host, ""));
    let default = if scheme == "http" { "80" } else { "443" };
    let name = name.strip_suffix('.').unwrap_or(name);
    if port.is_empty() || port == default { name.to_owned() } else { format!("{name}:{port}") }
}

/// Whether the host is an IP address, as load balancers and orchestrators write when they probe an instance.
fn is_ip_address(host: &str) -> bool {
    host.parse::<SocketAddr>().is_ok() || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_host_are_one_host() {
        for same in [
            "login.example.com",
            "LOGIN.example.com",
            "login.example.com.",
            "login.example.com:443",
            "Login.Example.com.:443",
            "login.example.com:",
        ] {
            assert_eq!(canonical_host(same, "https"), "login.example.com", "{same}");
        }
        assert_eq!(canonical_host("login.example.com:80", "https"), "login.example.com:80");
        assert_eq!(canonical_host("localhost:80", "http"), "localhost");
        assert_eq!(canonical_host("[::1]:8080", "http"), "[::1]:8080");
        assert_eq!(canonical_host("[::1]", "http"), "[::1]");
        assert_eq!(canonical_host("evil.example..", "https"), "evil.example.");
        for ip in ["10.0.0.7", "10.0.0.7:8080", "[2001:db8::1]", "[2001:db8::1]:8080"] {
            assert!(is_ip_address(ip), "{ip}");
        }
        assert!(!is_ip_address("evil.example") && !is_ip_address("10.0.0.7.evil.example"));
    }
}
