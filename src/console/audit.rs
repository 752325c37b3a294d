//! The audit trail, with filters and a CSV export.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use http::{StatusCode, header};
use serde_json::Value as Json;

use super::extract::Auditor;
use super::pages::{AuditEventView, AuditFilter, AuditPage};
use super::{Console, respond, simulation_form};
use crate::audit::{Action, AuditEvent, EventFilter, StoredEvent, list_events};
use crate::web::extract::{Form, Query};
use crate::web::fields::Fields;
use crate::web::{HttpError, paths};
use signpost_core::{FieldErrors, Slug};

/// The audit trail.
pub(super) const AUDIT: &str = "/audit";

/// Acts on a page.
const PAGE_SIZE: usize = 50;
/// Acts that are read at once for an export.
const EXPORT_BATCH_SIZE: usize = 500;

/// `GET /audit`
pub(super) async fn page(
    State(console): State<Console>,
    Auditor(staff): Auditor,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let filter = filter_fields(&fields);
    let (status, found, errors) = match parse_filter(&filter) {
        Ok(event_filter) => {
            let found = list_events(&console.app.db, &event_filter, fields.get("before"), PAGE_SIZE + 1).await?;
            (StatusCode::OK, found, FieldErrors::default())
        }
        Err(errors) => (StatusCode::UNPROCESSABLE_ENTITY, Vec::new(), errors),
    };
    let last = found.get(PAGE_SIZE.saturating_sub(1)).filter(|_| found.len() > PAGE_SIZE);
    let older = last.map(|last| page_url(&filter, &last.id));
    respond::page(&console, Some(&staff), status, |chrome| AuditPage {
        chrome,
        actions: Action::ALL.iter().map(|action| action.as_str()).collect(),
        events: found.iter().take(PAGE_SIZE).map(view).collect(),
        filter,
        older,
        errors,
    })
}

/// `POST /audit/export`: all that the filter lets through, as CSV that no spreadsheet takes for formulas.
pub(super) async fn export(
    State(console): State<Console>,
    Auditor(staff): Auditor,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let event_filter =
        parse_filter(&filter_fields(&fields)).map_err(|_| HttpError::from_status(StatusCode::BAD_REQUEST))?;
    console.record(&staff, AuditEvent::new(Action::AuditExported).with("format", "csv"), None).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ];
    Ok((headers, Body::from_stream(csv_rows(console, event_filter))).into_response())
}

/// All acts wanted, part by part: memory does not grow with them.
fn csv_rows(console: Console, event_filter: EventFilter) -> impl Stream<Item = Result<String, crate::db::DbError>> {
    unfold(Some((console, event_filter, None::<String>)), async |rest| {
        let (console, event_filter, before) = rest?;
        let head = if before.is_none() { StoredEvent::csv_header() } else { String::new() };
        let found = match list_events(&console.app.db, &event_filter, before.as_deref(), EXPORT_BATCH_SIZE).await {
            Ok(found) => found,
            Err(error) => return Some((Err(error), None)),
        };
        let text = head + &found.iter().map(StoredEvent::to_csv).collect::<String>();
        let next = found.last().filter(|_| found.len() == EXPORT_BATCH_SIZE).map(|last| last.id.clone());
        Some((Ok(text), next.map(|next| (console, event_filter, Some(next)))))
    })
}

fn filter_fields(fields: &Fields) -> AuditFilter {
    let text = |name: &str| fields.get(name).unwrap_or_default().trim().to_owned();
    AuditFilter {
        actor: text("actor"),
        action: text("action"),
        biller: text("biller"),
        since: text("since"),
        until: text("until"),
    }
}

fn parse_filter(filter: &AuditFilter) -> Result<EventFilter, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut time = |field: &str, text: &str| {
        let at = simulation_form::parse_time(text);
        if at.is_none() && !text.is_empty() {
            errors.push(field, "Enter a date and time");
        }
        at
    };
    let (since, until) = (time("since", &filter.since), time("until", &filter.until));
    let biller = Slug::parse(&filter.biller).ok();
    if biller.is_none() && !filter.biller.is_empty() {
        errors.push("biller", "Enter the slug of a biller");
    }
    let action = Action::parse(&filter.action);
    let actor = Some(filter.actor.clone()).filter(|actor| !actor.is_empty());
    let event_filter = EventFilter { actor, action, biller, biller_scope: None, since, until };
    if errors.is_empty() { Ok(event_filter) } else { Err(errors) }
}

fn page_url(filter: &AuditFilter, before: &str) -> String {
    let AuditFilter { actor, action, biller, since, until } = filter;
    let fields = [("actor", actor), ("action", action), ("biller", biller), ("since", since), ("until", until)];
    let asked = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let address = asked.fold(AUDIT.to_owned(), |address, (name, value)| paths::with_query(&address, name, value));
    paths::with_query(&address, "before", before)
}

fn view(event: &StoredEvent) -> AuditEventView {
    let actor = &event.actor;
    AuditEventView {
        at: event.at.to_string(),
        who: if actor.name.is_empty() { actor.kind.clone() } else { actor.name.clone() },
        kind: actor.role.as_ref().map_or_else(|| actor.kind.clone(), |role| format!("{}, {role}", actor.kind)),
        action: event.action.clone(),
        biller: event.biller.clone().unwrap_or_default(),
        subject: event.subject.clone().unwrap_or_default(),
        reason: event.reason.clone().unwrap_or_default(),
        details: detail_lines(&event.details),
    }
}

/// Details in lines: what was changed as "before → after".
fn detail_lines(details: &Json) -> Vec<String> {
    let Json::Object(fields) = details else { return Vec::new() };
    let plain = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => "–".to_owned(),
        other => other.to_string(),
    };
    let line = |(name, value): (&String, &Json)| match value {
        Json::Object(_) => detail_lines(value),
        Json::Array(pair) if pair.len() == 2 => vec![format!("{name}: {} → {}", plain(&pair[0]), plain(&pair[1]))],
        other => vec![format!("{name}: {}", plain(other))],
    };
    fields.iter().flat_map(line).collect()
}
