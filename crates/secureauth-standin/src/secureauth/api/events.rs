//! `…/servers/{server}/audit-events`: the newest first, unless the query names another order.

use axum::http::Method;
use serde_json::{Value, json};

use super::call::Call;
use crate::secureauth::response::{ApiResponse, ApiResult};
use crate::secureauth::state::objects::{new_id, str_field};
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::store::lock;

const MAX_EVENTS: usize = 10_000;

pub(crate) struct AuditEvent<'e> {
    /// The organization, or `system`.
    pub server: &'e str,
    /// Such as `login`.
    pub subject: &'e str,
    /// Such as `succeeded`.
    pub action: &'e str,
    /// The pool's id.
    pub pool: &'e str,
    /// The user's id.
    pub user: &'e str,
    /// `X-Correlation-Id` of the request.
    pub correlation: Option<&'e str>,
}

pub(crate) fn record_event(standin: &SecureAuthStandIn, event: &AuditEvent<'_>) {
    let is_login = event.subject == "login";
    let (user, pool) =
        if is_login { ("user_id", "user_pool_id") } else { ("affected_user_id", "affected_user_pool_id") };
    let mut metadata = json!({
        user: event.user, pool: event.pool,
        "result": if event.action == "failed" { "failure" } else { "success" },
    });
    if is_login {
        metadata["ip"] = json!("192.0.2.10");
        metadata["user_agent"] = json!("an imitated browser");
    }
    if let Some(correlation) = event.correlation {
        metadata["request_correlation_id"] = json!(correlation);
    }
    let mut events = lock(&standin.api().events);
    if events.len() >= MAX_EVENTS {
        events.remove(0);
    }
    events.push(json!({
        "event_id": new_id(standin.random()), "timestamp": standin.now().to_string(),
        "event_subject": event.subject, "action": event.action, "server_id": event.server,
        "tenant_id": standin.tenant(), "metadata": metadata, "payload": {}, "context": {},
    }));
}

/// Records a successful API call that changed a user, as far as its path shows it.
pub(crate) fn record_api_call(
    standin: &SecureAuthStandIn,
    method: &Method,
    rest: &[&str],
    answer: &ApiResponse,
    correlation: Option<&str>,
) {
    if !answer.status.is_success() {
        return;
    }
    let created = || answer.body.as_ref().and_then(|body| body["id"].as_str()).unwrap_or_default();
    let (subject, action, pool, user) = match (method.as_str(), rest) {
        ("POST", ["pools", pool, "users"]) => ("user", "created", *pool, created()),
        ("PUT" | "PATCH", ["pools", pool, "users", user]) => ("user", "updated", *pool, *user),
        ("DELETE", ["pools", pool, "users", user]) => ("user", "deleted", *pool, *user),
        ("POST", ["pools", pool, "users", user, "change-password"]) => ("password", "updated", *pool, *user),
        _ => return,
    };
    record_event(standin, &AuditEvent { server: "system", subject, action, pool, user, correlation });
}

/// `GET`: filtered by `user_pool_id`, `user_id`, `affected_user_id`, `event_subject`, `event_action` and `result`.
pub(crate) fn list(call: &Call<'_>, server: &str) -> ApiResult {
    call.require_scope(&["view_audit_events"])?;
    call.require_method(&Method::GET)?;
    let limit = call.limit()?;
    let events = lock(&call.standin.api().events);
    let fits = |event: &&Value| {
        let named = ["user_pool_id", "user_id", "affected_user_id", "affected_user_pool_id", "result"];
        let several = [("event_subject", "event_subject"), ("event_action", "action")];
        event["server_id"] == server
            && named.iter().all(|name| call.query.get(name).is_none_or(|wanted| event["metadata"][name] == wanted))
            && several.iter().all(|(parameter, field)| {
                let mut wanted = call.query.all(parameter).peekable();
                wanted.peek().is_none() || wanted.any(|wanted| event[field] == wanted)
            })
    };
    let id =
        |event: &Value| event.as_object().and_then(|event| str_field(event, "event_id")).unwrap_or_default().to_owned();
    let mut found: Vec<&Value> = events.iter().filter(fits).collect();
    if let Some(before) = call.query.get("before_event_id") {
        found.truncate(found.iter().position(|event| id(event) == before).unwrap_or(found.len()));
    }
    if let Some(after) = call.query.get("after_event_id") {
        let from = found.iter().position(|event| id(event) == after).map_or(0, |at| at + 1);
        found.drain(..from);
    }
    if call.query.get("order") != Some("asc") {
        found.reverse();
    }
    found.truncate(limit);
    ApiResponse::list(json!({ "audit_events": found }))
}
