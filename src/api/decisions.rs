//! `GET /api/v1/decisions/{code}`: what happened, by the reference code that a customer reads out.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::auth::require;
use super::problem::problem;
use crate::access::Scope;
use crate::audit::{Found, StoredEntry};
use crate::kernel::reference::Kind;
use crate::kernel::{ReferenceCode, Timestamp};
use crate::state::AppState;
use crate::web::Refusal;
use crate::web::fields::Fields;

/// No reason is longer.
const LONGEST_REASON: usize = 200;

/// Looks a code up, for a reason that is written down: `?reason=`.
pub(super) async fn look_up(
    State(state): State<AppState>,
    Path(code): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
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
fn recorded(entry: &StoredEntry) -> Value {
    let mut answer = json!({
        "code": entry.code, "at": entry.at.to_string(), "kind": entry.kind, "recorded": true, "biller": entry.biller,
        "name_mask": entry.name_mask, "shown": entry.shown,
    });
    match &entry.details {
        Value::Object(details) => {
            for (name, value) in details {
                answer[name.as_str()] = value.clone();
            }
        }
        other => answer["details"] = other.clone(),
    }
    answer
}

/// What a code says by itself. A process that was killed loses the last second of its decisions.
fn not_recorded(code: &str, kind: Kind, at: Timestamp) -> Value {
    let kind = match kind {
        Kind::Row(row) => format!("row {row}"),
        Kind::Page => "page".to_owned(),
        Kind::Error => "error".to_owned(),
    };
    let code = ReferenceCode::parse(code).map(|code| code.to_string());
    json!({ "code": code, "at": at.to_string(), "kind": kind, "recorded": false })
}
