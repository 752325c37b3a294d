//! Every call of the API passes here: call log, faults, access token, idempotency key, then the handler of its path.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use percent_encoding::percent_decode_str;

use super::call::Call;
use super::tokens::{self, workspace};
use super::{events, fault_responses as faults, routes};
use crate::secureauth::response::{ApiError, ApiResponse, not_found};
use crate::secureauth::state::api::Workspace;
use crate::secureauth::state::faults::Fault;
use crate::secureauth::state::journal::InFlightCall;
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::store::lock;
use crate::web::Fields;

const BODY_LIMIT: usize = 64 * 1024 * 1024;
const REPLAY_WINDOW: Duration = Duration::from_mins(1);

pub(crate) fn is_api(tenant: &str, path: &str) -> bool {
    path.starts_with("/api/") || token_workspace(tenant, path).is_some()
}

fn token_workspace(tenant: &str, path: &str) -> Option<Workspace> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let found = (segments.next()? == tenant).then(|| segments.next().and_then(workspace))??;
    (segments.collect::<Vec<_>>() == ["oauth2", "token"]).then_some(found)
}

/// Handles a call, with the fault that a rule injects.
pub(crate) async fn handle(standin: &SecureAuthStandIn, request: Request) -> Response {
    let api = standin.api();
    let (mut parts, body) = request.into_parts();
    let entry = api.journal.begin(&parts);
    let latency = api.faults.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let fault = api.faults.next_fault(parts.method.as_str(), parts.uri.path());
    let bytes = to_bytes(body, BODY_LIMIT).await;
    let early = match &fault {
        Some(Fault::Status { status, body, retry_after }) => Some(faults::status(*status, body, retry_after.as_ref())),
        Some(Fault::Garbage) => Some(faults::garbage()),
        Some(Fault::DropBefore) => return faults::dropped(),
        Some(Fault::ModeRefused) => faults::mode_refused(&parts.uri),
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(*delay).await;
            None
        }
        Some(Fault::ModeIgnored) => {
            parts.uri = faults::with_mode_ignored(&parts.uri);
            None
        }
        Some(
            Fault::DropAfter | Fault::DelayAfter(_) | Fault::Truncated | Fault::StatusAfter(_) | Fault::FieldIgnored(_),
        )
        | None => None,
    };
    let response = match (early, bytes) {
        (Some(response), bytes) => {
            if let Some(bytes) = bytes.ok().filter(|_| entry.with_bodies()) {
                entry.set_bodies(&bytes, b"");
            }
            response
        }
        (None, Ok(bytes)) => {
            let response = match &fault {
                Some(Fault::FieldIgnored(name)) => respond(standin, &parts, &faults::without_field(&bytes, name)).await,
                _ => respond(standin, &parts, &bytes).await,
            };
            if entry.with_bodies() { with_bodies(&entry, &bytes, response).await } else { response }
        }
        (None, Err(_)) => ApiError::bad_request("the body cannot be read").into_api_response().into_response(),
    };
    match fault {
        Some(Fault::DropAfter) => return faults::dropped(),
        Some(Fault::StatusAfter(status)) => {
            if let Fault::Status { status, body, .. } = Fault::status(status) {
                return faults::status(status, &body, None);
            }
        }
        Some(Fault::DelayAfter(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Truncated) => {
            entry.record_response(&response);
            return faults::truncated(response).await;
        }
        _ => {}
    }
    entry.record_response(&response);
    response
}

/// Records the bodies and passes the response on.
async fn with_bodies(entry: &InFlightCall<'_>, sent: &[u8], response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let answered = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    entry.set_bodies(sent, &answered);
    Response::from_parts(parts, Body::from(answered))
}

async fn respond(standin: &SecureAuthStandIn, parts: &Parts, body: &Bytes) -> Response {
    let path = parts.uri.path();
    if let Some(workspace) = token_workspace(standin.tenant(), path) {
        return if parts.method == Method::POST {
            tokens::exchange(standin, workspace, &parts.headers, body)
        } else {
            ApiError::method_not_allowed().into_api_response().into_response()
        };
    }
    let decoded: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    // The path names the tenant and the workspace, in one order for identities and in the other for configuration.
    let (tenant, named, identity, rest) = match segments.as_slice() {
        ["api", "identity", "system", tenant, "configuration"] | ["api", "identity", tenant, "configuration"] => {
            (*tenant, "system", true, &["configuration"][..])
        }
        ["api", "identity", tenant, named, rest @ ..] => (*tenant, *named, true, rest),
        ["api", named, tenant, rest @ ..] => (*tenant, *named, false, rest),
        _ => return not_found("no such path"),
    };
    let Some(workspace) = workspace(named) else {
        return not_found("no such path");
    };
    if tenant != standin.tenant() || standin.api().service_clients.is_none() {
        return not_found("no such tenant");
    }
    let outcome = async {
        let call = Call {
            standin,
            workspace,
            method: &parts.method,
            query: Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            if_match: parts.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()),
            body,
            scopes: tokens::check(standin, workspace, &parts.headers)?,
        };
        let key = idempotency_key(&parts.method, &parts.headers, path)?;
        if let Some(before) = key.as_ref().and_then(|key| replay(standin, key)) {
            return Ok((before, true));
        }
        let answer = if identity { routes::identities(&call, rest).await } else { routes::configuration(&call, rest) };
        let answer = answer.unwrap_or_else(ApiError::into_api_response);
        let correlation = parts.headers.get("x-correlation-id").and_then(|value| value.to_str().ok());
        events::record_api_call(standin, &parts.method, rest, &answer, correlation);
        if let Some(key) = key {
            lock(&standin.api().replays).insert(key, (standin.now().plus(REPLAY_WINDOW), answer.clone()));
        }
        Ok((answer, false))
    };
    let (answer, replayed) = outcome.await.unwrap_or_else(|problem: ApiError| (problem.into_api_response(), false));
    let mut response = answer.into_response();
    if replayed {
        response.headers_mut().insert("x-idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

/// The key of a `POST`. A wrong length gets 422, which is our choice.
fn idempotency_key(method: &Method, headers: &HeaderMap, path: &str) -> Result<Option<String>, ApiError> {
    let Some(key) = headers.get("x-idempotency-key").filter(|_| *method == Method::POST) else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if (32..=255).contains(&key.len()) => Ok(Some(format!("{path} {key}"))),
        _ => Err(ApiError::validation_error("X-Idempotency-Key has 32 to 255 characters")),
    }
}

fn replay(standin: &SecureAuthStandIn, key: &str) -> Option<ApiResponse> {
    let now = standin.now();
    let mut replays = lock(&standin.api().replays);
    if replays.len() > 10_000 {
        replays.retain(|_, (expires, _)| now < *expires);
    }
    replays.get(key).filter(|(expires, _)| now < *expires).map(|(_, answer)| answer.clone())
}
