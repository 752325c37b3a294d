//! `GET /api/v1/decisions/{code}`: decision records, by the reference code that a customer reads out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::ApiKeyFor;
use super::problem::{not_found, problem};
use crate::access::{RateLimits, Scope, scope};
use crate::audit::{DecisionLog, LookupResult, StoredEntry};
use crate::web::extract::Query;
use crate::web::fields::Fields;
use crate::web::{HttpError, paths};
use signpost_core::decision::Verdict;
use signpost_core::reference::CodeKind;
use signpost_core::{ReferenceCode, Timestamp};

const MAX_REASON_BYTES: usize = 200;

/// What a reference code refers to.
#[derive(Serialize, ToSchema)]
pub(super) struct DecisionRecord {
    code: String,
    #[schema(format = DateTime)]
    at: String,
    /// A row of the routing table such as `row 2`, `page` for a page without a decision, or `error`.
    kind: String,
    /// Whether the record was found. Without it, only the code, `at` and `kind` are known: a killed process loses the records of
    /// its last second.
    recorded: bool,
    /// The slug of the biller.
    biller: Option<String>,
    /// The username with its middle masked.
    username_mask: Option<String>,
    /// What the customer saw.
    response: Option<String>,
    /// The routing decision.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Verdict>, nullable = false)]
    verdict: Value,
    /// The routing facts at that time.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Object>, nullable = false)]
    facts: Value,
    /// The configuration at that time: `billers` grows with every change of billers and operational controls; `settings` is a
    /// hash of the settings.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Object>, nullable = false)]
    revision: Value,
    /// For an error: its code, status and title.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Object>, nullable = false)]
    error: Value,
}

/// Get a decision record
///
/// Returns the routing decision behind a reference code, the facts at that time, and what the customer saw. Every lookup is an audit
/// event, whether or not it finds a record.
#[utoipa::path(
    get, path = paths::DECISION, operation_id = "getDecisionRecord", tag = "Support",
    params(
        ("code" = String, Path, description = "The reference code, in any case and with or without hyphens."),
        ("reason" = String, Query, description = "Why you look it up: 1 to 200 bytes, such as a ticket number. The audit trail records it."),
    ),
    security(("key" = [Scope::DecisionsRead.as_str()])),
    responses(
        (status = 200, description = "The decision record.", body = DecisionRecord),
        (status = 400, description = "`reason_required`: `reason` is missing or invalid."),
        (status = 404, description = "`not_found`: the reference code is unknown, or the API key has no access to it."),
        (status = 429, description = "`rate_limited`: the API key has used up its lookups for this minute."),
    ),
)]
pub(super) async fn get(
    key: ApiKeyFor<scope::DecisionsRead>,
    State(decisions): State<DecisionLog>,
    State(limits): State<Arc<RateLimits>>,
    Path(code): Path<String>,
    Query(query): Query,
) -> Result<Json<DecisionRecord>, HttpError> {
    let reason = parse_reason(&query)?;
    limits.check_decision_lookup(&key.id).map_err(|limit| {
        let detail = "The API key has used up its lookups for this minute. Try again later.";
        HttpError { detail: Some(detail.to_owned()), ..HttpError::rate_limited(limit.retry_after) }
    })?;
    let actor = key.actor_context().clone().because(reason);
    match decisions.look_up(&code, key.billers.as_deref(), &actor).await? {
        LookupResult::Recorded(entry) => Ok(Json(recorded_response(&entry))),
        LookupResult::NotRecorded(kind, at) => Ok(Json(unrecorded_response(&code, kind, at))),
        LookupResult::UnknownCode => Err(not_found()),
    }
}

fn parse_reason(query: &Fields) -> Result<String, HttpError> {
    let reason = query.get("reason").unwrap_or_default().trim().to_owned();
    let is_valid = (1..=MAX_REASON_BYTES).contains(&reason.len()) && !reason.chars().any(char::is_control);
    let detail =
        "Add the query parameter `reason`: 1 to 200 bytes, such as a ticket number. The audit trail records it.";
    if is_valid { Ok(reason) } else { Err(problem(StatusCode::BAD_REQUEST, "reason_required", detail)) }
}

fn recorded_response(entry: &StoredEntry) -> DecisionRecord {
    let part = |name: &str| entry.details[name].clone();
    let is_decision = entry.details["verdict"].is_object();
    DecisionRecord {
        code: entry.code.clone(),
        at: entry.at.to_string(),
        kind: entry.kind.clone(),
        recorded: true,
        biller: entry.biller.clone(),
        username_mask: entry.username_mask.clone(),
        response: Some(entry.response.clone()),
        verdict: part("verdict"),
        facts: part("facts"),
        revision: part("revision"),
        error: if is_decision { Value::Null } else { entry.details.clone() },
    }
}

/// What the reference code alone says.
fn unrecorded_response(code: &str, kind: CodeKind, at: Timestamp) -> DecisionRecord {
    DecisionRecord {
        code: ReferenceCode::parse(code).map(|code| code.to_string()).unwrap_or_default(),
        at: at.to_string(),
        kind: match kind {
            CodeKind::Row(row) => format!("row {row}"),
            CodeKind::Page => "page".to_owned(),
            CodeKind::Error => "error".to_owned(),
        },
        recorded: false,
        biller: None,
        username_mask: None,
        response: None,
        verdict: Value::Null,
        facts: Value::Null,
        revision: Value::Null,
        error: Value::Null,
    }
}
