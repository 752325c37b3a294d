//! The audit trail: who did what, when and why; to be filtered, and to be taken away as CSV.

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use http::{StatusCode, header};
use serde_json::Value as Json;

use super::pages::{ActView, AuditFilter, AuditPage};
use super::staff::Staff;
use super::{Console, forms, question, show};
use crate::audit::{Act, Action, StoredAct, Wanted, acts};
use crate::web::fields::Fields;
use crate::web::{Refusal, paths};
use signpost_core::Slug;

/// The audit trail.
pub(super) const AUDIT: &str = "/audit";

/// Acts on a page.
const SHOWN: usize = 50;
/// Acts that are read at once for an export.
const PART: usize = 500;

/// `GET /audit`
pub(super) async fn page(
    State(console): State<Console>,
    staff: Staff,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let filter = filter(&fields);
    let (status, found, errors) = match wanted(&filter) {
        Ok(wanted) => {
            let found = acts(&console.app.db, &wanted, fields.get("before"), SHOWN + 1).await?;
            (StatusCode::OK, found, Vec::new())
        }
        Err(errors) => (StatusCode::UNPROCESSABLE_ENTITY, Vec::new(), errors),
    };
    let last = found.get(SHOWN.saturating_sub(1)).filter(|_| found.len() > SHOWN);
    let older = last.map(|last| address(&filter, &last.id));
    show::page(&console, Some(&staff), status, |chrome| AuditPage {
        chrome,
        actions: Action::ALL.iter().map(|action| action.as_str()).collect(),
        acts: found.iter().take(SHOWN).map(view).collect(),
        filter,
        older,
        errors: errors.into(),
    })
}

/// `POST /audit/export`: all that the filter lets through, as CSV that no spreadsheet takes for formulas.
pub(super) async fn export(
    State(console): State<Console>,
    staff: Staff,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let fields = forms::read(&headers, &body)?;
    let wanted = wanted(&filter(&fields)).map_err(|_| Refusal::from_status(StatusCode::BAD_REQUEST))?;
    console.note(&staff, Act::of(Action::TrailExported).with("format", "csv"), None).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ];
    Ok((headers, Body::from_stream(lines(console, wanted))).into_response())
}

/// All acts wanted, part by part: memory does not grow with them.
fn lines(console: Console, wanted: Wanted) -> impl Stream<Item = Result<String, crate::db::DbError>> {
    unfold(Some((console, wanted, None::<String>)), async |rest| {
        let (console, wanted, before) = rest?;
        let head = if before.is_none() { StoredAct::heads() } else { String::new() };
        let found = match acts(&console.app.db, &wanted, before.as_deref(), PART).await {
            Ok(found) => found,
            Err(error) => return Some((Err(error), None)),
        };
        let text = head + &found.iter().map(StoredAct::cells).collect::<String>();
        let next = found.last().filter(|_| found.len() == PART).map(|last| last.id.clone());
        Some((Ok(text), next.map(|next| (console, wanted, Some(next)))))
    })
}

fn filter(fields: &Fields) -> AuditFilter {
    let text = |name: &str| fields.get(name).unwrap_or_default().trim().to_owned();
    AuditFilter {
        actor: text("actor"),
        action: text("action"),
        biller: text("biller"),
        since: text("since"),
        until: text("until"),
    }
}

fn wanted(filter: &AuditFilter) -> Result<Wanted, Vec<(String, String)>> {
    let mut errors = Vec::new();
    let mut time = |field: &str, text: &str| {
        let at = question::time(text);
        if at.is_none() && !text.is_empty() {
            errors.push((field.to_owned(), "Write the time as a day and a time of day".to_owned()));
        }
        at
    };
    let (since, until) = (time("since", &filter.since), time("until", &filter.until));
    let biller = Slug::parse(&filter.biller).ok();
    if biller.is_none() && !filter.biller.is_empty() {
        errors.push(("biller".to_owned(), "A biller is named by its short name".to_owned()));
    }
    let action = Action::parse(&filter.action);
    let actor = Some(filter.actor.clone()).filter(|actor| !actor.is_empty());
    let wanted = Wanted { actor, action, biller, reach: None, since, until };
    if errors.is_empty() { Ok(wanted) } else { Err(errors) }
}

fn address(filter: &AuditFilter, before: &str) -> String {
    let AuditFilter { actor, action, biller, since, until } = filter;
    let fields = [("actor", actor), ("action", action), ("biller", biller), ("since", since), ("until", until)];
    let asked = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let address = asked.fold(AUDIT.to_owned(), |address, (name, value)| paths::with_query(&address, name, value));
    paths::with_query(&address, "before", before)
}

fn view(act: &StoredAct) -> ActView {
    let actor = &act.actor;
    ActView {
        at: act.at.to_string(),
        who: if actor.name.is_empty() { actor.kind.clone() } else { actor.name.clone() },
        kind: actor.role.as_ref().map_or_else(|| actor.kind.clone(), |role| format!("{}, {role}", actor.kind)),
        action: act.action.clone(),
        biller: act.biller.clone().unwrap_or_default(),
        subject: act.subject.clone().unwrap_or_default(),
        reason: act.reason.clone().unwrap_or_default(),
        details: lines_of(&act.details),
    }
}

/// Details in lines: what was changed as "before → after".
fn lines_of(details: &Json) -> Vec<String> {
    let Json::Object(fields) = details else { return Vec::new() };
    let plain = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => "–".to_owned(),
        other => other.to_string(),
    };
    let line = |(name, value): (&String, &Json)| match value {
        Json::Object(_) => lines_of(value),
        Json::Array(pair) if pair.len() == 2 => vec![format!("{name}: {} → {}", plain(&pair[0]), plain(&pair[1]))],
        other => vec![format!("{name}: {}", plain(other))],
    };
    fields.iter().flat_map(line).collect()
}
