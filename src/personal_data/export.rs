//! Everything stored about a person as one JSON document. docs/guides/personal-data.md describes its fields.

use serde_json::{Value as Json, json};

use super::collect::PersonalData;
use crate::directory::{Billers, DirectoryError};
use crate::state::AppState;
use signpost_core::{BillerId, Timestamp};

/// Stored, but not exported: it would let its reader sign in, or guess.
const WITHHELD: &str = "stored, not exported";

/// The document. Secrets are named, not included.
pub async fn to_json(state: &AppState, data: &PersonalData) -> Result<Json, DirectoryError> {
    let billers = state.directory.billers().await?;
    let slug = |id: &BillerId| slug(&billers, id);
    let directory = &data.directory;
    let record = data.subject.record.as_ref().map(|record| {
        json!({
            "username": record.username, "email": record.email, "first_name": record.first_name,
            "last_name": record.last_name, "status": record.status.as_str(), "attributes": record.attributes,
            "created_at": time(record.created_at), "updated_at": time(record.updated_at),
            "deleted_at": record.deleted_at.map(time),
        })
    });
    let memberships = directory.memberships.iter().map(|membership| {
        json!({
            "biller": slug(&membership.biller), "legacy_account": membership.legacy_account,
            "created_at": time(membership.created_at),
        })
    });
    let pins = directory.pins.iter().map(|pin| {
        json!({
            "biller": slug(&pin.biller), "generation": pin.generation, "issuer": pin.issuer, "subject": pin.subject,
            "pinned_at": time(pin.pinned_at),
        })
    });
    let sessions = data.sessions.iter().map(|past| {
        let (session, details) = (&past.session, &past.session.details);
        json!({
            "id": session.id, "biller": slug(&session.biller_id), "issuer": session.issuer,
            "subject": session.subject, "username": details.username, "amr": details.amr, "sid": details.sid,
            "auth_time": time(session.auth_time), "created_at": time(past.created_at),
            "ended_at": past.ended_at.map(time), "id_token": WITHHELD,
        })
    });
    let browsers = data.browsers.iter().map(|browser| {
        json!({
            "created_at": time(browser.created_at), "last_seen": time(browser.last_seen),
            "ended_at": browser.ended_at.map(time), "session_id": WITHHELD,
        })
    });
    let changes = directory.changes.iter().map(|change| {
        json!({
            "biller": slug(&change.biller), "queued_at": time(change.queued_at), "attempts": change.attempts,
            "problem": change.problem,
        })
    });
    let decisions = data.decisions.iter().map(|entry| {
        json!({
            "code": entry.code, "at": time(entry.at), "kind": entry.kind, "biller": entry.biller,
            "username_mask": entry.username_mask, "response": entry.response, "details": entry.details,
        })
    });
    let tasks = data.tasks.iter().map(|task| {
        json!({
            "kind": task.kind, "attempts": task.attempts, "created_at": time(task.created_at), "content": WITHHELD,
        })
    });
    let responses = data.responses.iter().map(|response| {
        let body = serde_json::from_str(&response.body).unwrap_or_else(|_| Json::from(response.body.as_str()));
        json!({ "created_at": time(response.created_at), "body": body })
    });
    let password = directory.password_set_at.map(|at| json!({ "set_at": time(at), "hash": WITHHELD }));
    Ok(json!({
        "format": 1,
        "exported_at": time(state.clock.now()),
        "id": data.subject.user.as_ref().map(ToString::to_string),
        "record": record,
        "memberships": memberships.collect::<Vec<_>>(),
        "password": password,
        "pinned_subjects": pins.collect::<Vec<_>>(),
        "sessions": sessions.collect::<Vec<_>>(),
        "browser_sessions": browsers.collect::<Vec<_>>(),
        "decisions": decisions.collect::<Vec<_>>(),
        "audit_events": data.events,
        "user_changes": changes.collect::<Vec<_>>(),
        "queued_tasks": tasks.collect::<Vec<_>>(),
        "stored_responses": responses.collect::<Vec<_>>(),
        "allow_lists": data.allow_lists.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

fn slug(billers: &Billers, id: &BillerId) -> String {
    billers.by_id(id).map_or_else(|| id.to_string(), |biller| biller.slug.to_string())
}

fn time(at: Timestamp) -> String {
    at.to_string()
}
