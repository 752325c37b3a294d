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
use crate::audit::{Found, StoredEntry};
use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::{Refusal, paths};
use signpost_core::decision::Verdict;
use signpost_core::reference::Kind;
use signpost_core::{ReferenceCode, Timestamp};

/// No reason is longer.
const LONGEST_REASON: usize = 200;

/// What a reference code leads to.
#[derive(Serialize, ToSchema)]
pub(super) struct CodeFound {
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
    name_mask: Option<String>,
    /// What the person was shown.
    shown: Option<String>,
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
    get, path = paths::DECISION, operation_id = "readDecision", tag = "Support",
    params(
        ("code" = String, Path, description = "The code, as somebody reads it out."),
        ("reason" = String, Query, description = "Why: 1 to 200 bytes, such as the number of a ticket."),
    ),
    security(("key" = [Scope::DecisionsRead.as_str()])),
    responses(
        (status = 200, description = "What happened.", body = CodeFound),
        (status = 400, description = "`reason_needed`: say why."),
        (status = 404, description = "`not_found`: not a code of ours, or the key does not reach it."),
        (status = 429, description = "`too_many`: ask again in a minute."),
    ),
)]
pub(super) async fn look_up(
    State(state): State<AppState>,
    Path(code): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<CodeFound>, Refusal> {
    let key = require(&state, &headers, Scope::DecisionsRead).await?;
    let reason = reason(query.as_deref().unwrap_or_default())?;
    if !state.limits.allow_code(&key.id) {
        return Err(problem(StatusCode::TOO_MANY_REQUESTS, "too_many", "Too many look-ups; ask again in a minute."));
    }
    let by = state.by(key.actor()).because(reason);
    match state.decisions.look_up(&code, key.billers.as_deref(), &by).await? {
        Found::Entry(entry) => Ok(Json(recorded(&entry))),
        Found::NotRecorded(kind, at) => Ok(Json(not_recorded(&code, kind, at))),
        Found::NotOurs => Err(problem(StatusCode::NOT_FOUND, "not_found", "There is no such reference code.")),
    }
}

fn reason(query: &str) -> Result<String, Refusal> {
    let fields = Fields::parse(query.as_bytes()).unwrap_or_default();
    let reason = fields.get("reason").unwrap_or_default().trim().to_owned();
    let fit = (1..=LONGEST_REASON).contains(&reason.len()) && !reason.chars().any(char::is_control);
    let detail =
        "Say why: ?reason= with 1 to 200 bytes, such as the number of a ticket. It is kept in the audit trail.";
    if fit { Ok(reason) } else { Err(problem(StatusCode::BAD_REQUEST, "reason_needed", detail)) }
}

/// An entry: of a decision its verdict, the facts as they were, and the revision of the configuration.
fn recorded(entry: &StoredEntry) -> CodeFound {
    let part = |name: &str| entry.details[name].clone();
    let is_decision = entry.details["verdict"].is_object();
    CodeFound {
        code: entry.code.clone(),
        at: entry.at.to_string(),
        kind: entry.kind.clone(),
        recorded: true,
        biller: entry.biller.clone(),
        name_mask: entry.name_mask.clone(),
        shown: Some(entry.shown.clone()),
        verdict: part("verdict"),
        facts: part("facts"),
        revision: part("revision"),
        error: if is_decision { Value::Null } else { entry.details.clone() },
    }
}

/// What a code says by itself.
fn not_recorded(code: &str, kind: Kind, at: Timestamp) -> CodeFound {
    CodeFound {
        code: ReferenceCode::parse(code).map(|code| code.to_string()).unwrap_or_default(),
        at: at.to_string(),
        kind: match kind {
            Kind::Row(row) => format!("row {row}"),
            Kind::Page => "page".to_owned(),
            Kind::Error => "error".to_owned(),
        },
        recorded: false,
        biller: None,
        name_mask: None,
        shown: None,
        verdict: Value::Null,
        facts: Value::Null,
        revision: Value::Null,
        error: Value::Null,
    }
}
