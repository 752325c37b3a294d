//! `GET /api/v1/decisions/{code}`: what happened, by the reference code that a customer reads out.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::require;
use super::problem::problem;
use crate::access::Scope;
use crate::audit::{LookupResult, StoredEntry};
use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::{HttpError, paths};
use signpost_core::decision::Verdict;
use signpost_core::reference::CodeKind;
use signpost_core::{ReferenceCode, Timestamp};

/// No reason is longer.
const MAX_REASON_BYTES: usize = 200;

/// What a reference code leads to.
#[derive(Serialize, ToSchema)]
pub(super) struct DecisionRecord {
    code: String,
    #[schema(format = DateTime)]
    at: String,
    /// `row 2` and the like, `page` for a page without a decision, or `error`.
    kind: String,
    /// Whether more than this is known: a process that was killed loses the last second of what happened.
    recorded: bool,
    /// The biller concerned, by slug.
    biller: Option<String>,
    /// The username with its middle hidden.
    username_mask: Option<String>,
    /// What the person was shown.
    response: Option<String>,
    /// The decision.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Verdict>, nullable = false)]
    verdict: Value,
    /// The facts as they were.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Object>, nullable = false)]
    facts: Value,
    /// The configuration they stand on: `billers` grows with every change of billers and orders, `settings` tells one set of
    /// settings from another.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Object>, nullable = false)]
    revision: Value,
    /// Of an error: its reason, status and title.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Object>, nullable = false)]
    error: Value,
}

/// Look a reference code up
///
/// The exact decision, the facts as they were, and what was shown. Each look-up is in the audit trail, whatever it finds.
#[utoipa::path(
    get, path = paths::DECISION, operation_id = "getDecisionRecord", tag = "Support",
    params(
        ("code" = String, Path, description = "The code, as somebody reads it out."),
        ("reason" = String, Query, description = "Why: 1 to 200 bytes, such as the number of a ticket."),
    ),
    security(("key" = [Scope::DecisionsRead.as_str()])),
    responses(
        (status = 200, description = "What happened.", body = DecisionRecord),
        (status = 400, description = "`reason_required`: say why."),
        (status = 404, description = "`not_found`: not a code of ours, or the key does not reach it."),
        (status = 429, description = "`rate_limited`: ask again in a minute."),
    ),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    Path(code): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<DecisionRecord>, HttpError> {
    let key = require(&state, &headers, Scope::DecisionsRead).await?;
    let reason = parse_reason(query.as_deref().unwrap_or_default())?;
    if !state.limits.allow_decision_lookup(&key.id) {
        return Err(problem(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many look-ups; ask again in a minute.",
        ));
    }
    let actor = state.actor_context(key.actor()).because(reason);
    match state.decisions.look_up(&code, key.billers.as_deref(), &actor).await? {
        LookupResult::Recorded(entry) => Ok(Json(recorded_response(&entry))),
        LookupResult::NotRecorded(kind, at) => Ok(Json(unrecorded_response(&code, kind, at))),
        LookupResult::UnknownCode => {
            Err(problem(StatusCode::NOT_FOUND, "not_found", "There is no such reference code."))
        }
    }
}

fn parse_reason(query: &str) -> Result<String, HttpError> {
    let fields = Fields::parse(query.as_bytes()).unwrap_or_default();
    let reason = fields.get("reason").unwrap_or_default().trim().to_owned();
    let is_valid = (1..=MAX_REASON_BYTES).contains(&reason.len()) && !reason.chars().any(char::is_control);
    let detail =
        "Say why: ?reason= with 1 to 200 bytes, such as the number of a ticket. It is kept in the audit trail.";
    if is_valid { Ok(reason) } else { Err(problem(StatusCode::BAD_REQUEST, "reason_required", detail)) }
}

/// An entry: of a decision its verdict, the facts as they were, and the revision of the configuration.
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

/// What a code says by itself.
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
