//! The way of an API call: journal, faults, token, idempotency key, then whoever answers the path.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::faults::{self, Fault};
use super::journal::InFlightCall;
use super::objects::Json;
use super::response::{ApiError, ApiResponse, ApiResult};
use super::tokens::{self, Workspace, workspace};
use super::{activation, addresses, audit, claims, clients, idps, import, organizations, passwords, pools, users};
use crate::secureauth::{SecureAuthStandIn, discovery};
use crate::store::lock;
use crate::web::Fields;
use signpost_core::Timestamp;

/// The largest body that is read.
const BODY_LIMIT: usize = 64 * 1024 * 1024;
/// How long an idempotency key is remembered.
const REPLAY_WINDOW: Duration = Duration::from_mins(1);

/// Answers by path and idempotency key.
pub(super) type Replays = Mutex<HashMap<String, (Timestamp, ApiResponse)>>;

/// A call whose token is good.
pub(super) struct Call<'a> {
    /// The stand-in.
    pub standin: &'a SecureAuthStandIn,
    /// Whose token it is.
    pub workspace: Workspace,
    /// `GET`, `PUT`, …
    pub method: &'a Method,
    /// The query.
    pub query: Fields,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    body: &'a Bytes,
    scopes: String,
}

impl Call<'_> {
    /// The body as a JSON object.
    ///
    /// # Errors
    /// 400.
    pub(super) fn json(&self) -> Result<Json, ApiError> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(ApiError::bad_request("the body is not an object")),
            Err(error) => Err(ApiError::bad_request(format!("the body is not JSON: {error}"))),
        }
    }

    /// The body as it came.
    pub(super) fn bytes(&self) -> &[u8] {
        self.body
    }

    /// A scope is needed, or one of several.
    ///
    /// # Errors
    /// 403.
    pub(super) fn require_scope(&self, scopes: &[&str]) -> Result<(), ApiError> {
        let has = self.scopes.split_whitespace().any(|one| scopes.contains(&one));
        if has || self.workspace == Workspace::Admin {
            Ok(())
        } else {
            Err(ApiError::forbidden(scopes.first().copied().unwrap_or_default()))
        }
    }

    /// How many entries a list may have: 20 if nothing is said. More than 100 are refused; the vendor names no limit.
    ///
    /// # Errors
    /// 422.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        match self.query.get("limit") {
            None => Ok(20),
            Some(text) => match text.parse() {
                Ok(limit @ 1..=100) => Ok(limit),
                _ => Err(ApiError::validation_error("limit is not a number from 1 to 100")),
            },
        }
    }

    /// The tenant's id.
    pub(super) fn tenant(&self) -> &str {
        &self.standin.0.tenant
    }

    /// The present moment, as the vendor writes it.
    pub(super) fn now(&self) -> String {
        self.standin.now().to_string()
    }
}

/// Whether a path belongs to the API.
pub(crate) fn is_api(tenant: &str, path: &str) -> bool {
    path.starts_with("/api/") || token_workspace(tenant, path).is_some()
}

fn token_workspace(tenant: &str, path: &str) -> Option<Workspace> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let found = (segments.next()? == tenant).then(|| segments.next().and_then(workspace))??;
    (segments.collect::<Vec<_>>() == ["oauth2", "token"]).then_some(found)
}

/// Answers a call, unless a rule says otherwise.
pub(crate) async fn handle(standin: &SecureAuthStandIn, request: Request) -> Response {
    let api = &standin.0.api;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let entry = api.journal.begin(&parts);
    let latency = api.faults.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let fault = api.faults.next_fault(parts.method.as_str(), path);
    let bytes = to_bytes(body, BODY_LIMIT).await;
    let early = match &fault {
        Some(Fault::Status { status, body, retry_after }) => Some(faults::status(*status, body, retry_after.as_ref())),
        Some(Fault::Garbage) => Some(faults::garbage()),
        Some(Fault::DropBefore) => return faults::dropped(),
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(*delay).await;
            None
        }
        Some(Fault::DropAfter | Fault::DelayAfter(_) | Fault::Truncated | Fault::StatusAfter(_)) | None => None,
    };
    let response = match (early, bytes) {
        (Some(response), bytes) => {
            if let Some(bytes) = bytes.ok().filter(|_| entry.with_bodies()) {
                entry.set_bodies(&bytes, b"");
            }
            response
        }
        (None, Ok(bytes)) => {
            let response = respond(standin, &parts, &bytes).await;
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

/// Notes what was sent and answered; the answer goes on as it was.
async fn with_bodies(entry: &InFlightCall<'_>, sent: &[u8], response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let answered = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    entry.set_bodies(sent, &answered);
    Response::from_parts(parts, Body::from(answered))
}

async fn respond(standin: &SecureAuthStandIn, parts: &Parts, body: &Bytes) -> Response {
    let path = parts.uri.path();
    if let Some(workspace) = token_workspace(&standin.0.tenant, path) {
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
    // What comes first: which tenant, which workspace, and whether this is about identities.
    let (tenant, named, identity, rest) = match segments.as_slice() {
        ["api", "identity", "system", tenant, "configuration"] | ["api", "identity", tenant, "configuration"] => {
            (*tenant, "system", true, &["configuration"][..])
        }
        ["api", "identity", tenant, named, rest @ ..] => (*tenant, *named, true, rest),
        ["api", named, tenant, rest @ ..] => (*tenant, *named, false, rest),
        _ => return discovery::not_found("no such path"),
    };
    let Some(workspace) = workspace(named) else {
        return discovery::not_found("no such path");
    };
    if tenant != standin.0.tenant || standin.0.api.service_clients.is_none() {
        return discovery::not_found("no such tenant");
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
        let answer = if identity { identities(&call, rest).await } else { configuration(&call, rest) };
        let answer = answer.unwrap_or_else(ApiError::into_api_response);
        let correlation = parts.headers.get("x-correlation-id").and_then(|value| value.to_str().ok());
        audit::record_call(standin, &parts.method, rest, &answer, correlation);
        if let Some(key) = key {
            lock(&standin.0.api.replays).insert(key, (standin.now().plus(REPLAY_WINDOW), answer.clone()));
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

/// The key of a `POST`, if one is sent; of a wrong length it is refused with 422, which is our choice.
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
    let mut replays = lock(&standin.0.api.replays);
    if replays.len() > 10_000 {
        replays.retain(|_, (expires, _)| now < *expires);
    }
    replays.get(key).filter(|(expires, _)| now < *expires).map(|(_, answer)| answer.clone())
}

/// `/api/system/{tenant}/…` and `/api/admin/{tenant}/…`
fn configuration(call: &Call<'_>, rest: &[&str]) -> ApiResult {
    let admin = call.workspace == Workspace::Admin;
    match rest {
        ["organizations"] => organizations::collection(call),
        ["organizations", id] => organizations::item(call, id),
        ["servers", server, "audit-events"] => audit::list(call, server),
        ["servers", server, "idps"] if admin => idps::list(call, server),
        ["servers", server, "idps", "identity_pool"] if admin => idps::collection(call, server),
        ["servers", server, "idps", "identity_pool", id] | ["servers", server, "idps", id] if admin => {
            idps::item(call, server, id)
        }
        ["servers", server, "clients"] if admin => clients::list(call, server),
        ["servers", server, "claims"] if admin => claims::list(call, server),
        ["clients"] if admin => clients::collection(call),
        ["clients", id] if admin => clients::item(call, id),
        ["claims"] if admin => claims::collection(call),
        ["claims", id] if admin => claims::item(call, id),
        _ => Err(ApiError::not_found("the path")),
    }
}

/// `/api/identity/{tenant}/system/…`, `/api/identity/{tenant}/admin/…`, and the bulk import.
async fn identities(call: &Call<'_>, rest: &[&str]) -> ApiResult {
    let system = call.workspace == Workspace::System;
    if let ["configuration"] = rest {
        return import::configuration(call);
    }
    call.require_scope(&["identity"])?;
    match rest {
        ["pools"] => pools::collection(call),
        ["pools", pool] => pools::item(call, pool),
        ["workspace", server, "pools"] => pools::organization_collection(call, server),
        ["workspace", server, "pools", pool] if !system => pools::organization_item(call, server, pool),
        ["pools", pool, "users"] => users::collection(call, pool).await,
        ["pools", pool, "users", "by_key"] if system => users::by_key(call, pool),
        ["pools", pool, "users", user] => users::item(call, pool, user),
        ["pools", pool, "users", user, "identifiers", "add"] => users::add_identifier(call, pool, user),
        ["pools", pool, "users", user, "identifiers", "remove"] => users::remove_identifier(call, pool, user),
        ["pools", pool, "users", user, "addresses", "add"] => addresses::add(call, pool, user),
        ["pools", pool, "users", user, "addresses", "update"] => addresses::update(call, pool, user),
        ["pools", pool, "users", user, "addresses", "remove"] => addresses::remove(call, pool, user),
        ["pools", pool, "users", user, "activation", "send"] => activation::send(call, pool, user),
        ["pools", pool, "users", user, "activate"] => activation::activate(call, pool, user).await,
        ["pools", pool, "users", user, "password", "state"] => passwords::set_state(call, pool, user),
        ["pools", pool, "users", user, "change-password" | "change_password"] if system => {
            passwords::change(call, pool, user).await
        }
        ["pools", pool, "users", user, "password", "reset", "request"] if !system => {
            passwords::request_user_reset(call, pool, user)
        }
        ["pools", pool, "user", "password", "reset", "request"] if system => passwords::request_reset(call, pool),
        ["pools", pool, "user", "password", "reset", "complete" | "confirm"] if system => {
            passwords::complete_reset(call, pool).await
        }
        _ => Err(ApiError::not_found("the path")),
    }
}
