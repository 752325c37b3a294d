//! Reference codes: from the code that a customer reads out to the decision record. Every lookup has a reason and is audited.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::forms::Reason;
use super::pages::{DecisionView, DecisionsPage};
use super::staff::Staff;
use super::{Console, facts, respond, verdict};
use crate::audit::{LookupResult, StoredEntry};
use crate::provisioning::Job;
use crate::web::HttpError;
use crate::web::extract::Form;
use signpost_core::decision::{Facts, Verdict};
use signpost_core::reference::CodeKind;
use signpost_core::{FieldErrors, ReferenceCode, Timestamp};

/// Lookups of reference codes.
pub(super) const DECISIONS: &str = "/decisions";

/// `GET /decisions`
pub(super) async fn form(State(console): State<Console>, staff: Staff) -> Result<Response, HttpError> {
    page(&console, &staff, StatusCode::OK, ("", ""), FieldErrors::default(), None)
}

/// `POST /decisions`
pub(super) async fn look_up(
    State(console): State<Console>,
    staff: Staff,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let typed: String = fields.get("code").unwrap_or_default().trim().chars().take(40).collect();
    let form_values = (typed.as_str(), fields.get("reason").unwrap_or_default());
    let code = ReferenceCode::parse(&typed);
    let mut errors = FieldErrors::default();
    if code.is_none() {
        errors.push("code", "Enter a reference code of 16 letters and digits");
    }
    let reason = Reason::parse(&fields).map_err(|error| errors.extend([error]));
    let (Some(code), Ok(reason)) = (code, reason) else {
        return page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, form_values, errors, None);
    };
    console.check_lookup_limit(&staff)?;
    match find(&console, &staff, &code, reason.as_str()).await? {
        Some(found) => {
            page(&console, &staff, StatusCode::OK, (code.as_str(), form_values.1), FieldErrors::default(), Some(found))
        }
        None => {
            let errors = FieldErrors::one("code", "Unknown reference code. Check each character");
            page(&console, &staff, StatusCode::NOT_FOUND, form_values, errors, None)
        }
    }
}

async fn find(
    console: &Console,
    staff: &Staff,
    code: &ReferenceCode,
    reason: &str,
) -> Result<Option<DecisionView>, HttpError> {
    let actor = console.actor_context(staff).because(reason);
    Ok(match console.app.decisions.look_up(code.as_str(), None, &actor).await? {
        LookupResult::Recorded(entry) => Some(entry_view(console, *entry).await?),
        LookupResult::NotRecorded(kind, at) => Some(unrecorded_view(
            code,
            at,
            match kind {
                CodeKind::Page => "A page without a routing decision".to_owned(),
                CodeKind::Row(row) => format!("Row {row} of the routing table; details not recorded"),
                CodeKind::Error => "An error page; details not recorded".to_owned(),
            },
        )),
        LookupResult::UnknownCode => job(console, code).await?.map(|job| job_view(code, &job)),
    })
}

/// The job whose failure names this code.
async fn job(console: &Console, code: &ReferenceCode) -> Result<Option<Job>, HttpError> {
    Ok(console.app.provisioning.jobs().await?.into_iter().find(|job| job.reference() == *code))
}

fn job_view(code: &ReferenceCode, job: &Job) -> DecisionView {
    let mut found = unrecorded_view(code, job.created_at, format!("Enablement job: {}", job.state.as_str()));
    found.link = Some(("View job".to_owned(), format!("/jobs/{}", job.id)));
    found.lines = vec![("Message", job.display_message().to_owned())];
    if !job.problem.is_empty() {
        found.lines.push(("Problem", job.problem.clone()));
    }
    found
}

async fn entry_view(console: &Console, entry: StoredEntry) -> Result<DecisionView, HttpError> {
    let billers = console.app.directory.billers().await?;
    let verdict = serde_json::from_value::<Verdict>(entry.details["verdict"].clone()).ok();
    let verdict = verdict.map(|verdict| verdict::view(&verdict, &billers));
    let facts = serde_json::from_value::<Facts>(entry.details["facts"].clone()).ok();
    let revision = &entry.details["revision"];
    let revision = revision["billers"]
        .as_i64()
        .map(|billers| format!("billers {billers}, settings {}", revision["settings"].as_str().unwrap_or_default()));
    let mut lines = vec![("Shown", entry.response)];
    lines.extend(entry.username_mask.map(|name| ("Username", name)));
    lines.extend(entry.biller.map(|biller| ("Biller", biller)));
    lines.extend(revision.map(|revision| ("Configuration", revision)));
    let mut tail: Vec<(&str, String)> = vec![("Reference", entry.code.clone()), ("Time", entry.at.to_string())];
    tail.extend(lines.iter().cloned());
    let fact_lines = facts.as_ref().map(facts::lines).unwrap_or_default();
    let text = verdict.as_ref().map_or_else(
        || tail.iter().map(|(name, value)| format!("{name}: {value}\n")).collect(),
        |verdict| verdict::text(verdict, &tail, &[], &[]),
    );
    Ok(DecisionView {
        code: entry.code,
        at: entry.at.to_string(),
        line: verdict.as_ref().map_or_else(|| "An error page was shown".to_owned(), |verdict| verdict.line.clone()),
        lines,
        link: None,
        facts: fact_lines,
        billers: facts.as_ref().map(facts::billers).unwrap_or_default(),
        raw: verdict.is_none().then(|| serde_json::to_string_pretty(&entry.details).unwrap_or_default()),
        verdict,
        text,
    })
}

/// A code of which no more is known.
fn unrecorded_view(code: &ReferenceCode, at: Timestamp, line: String) -> DecisionView {
    DecisionView {
        code: code.to_string(),
        at: at.to_string(),
        text: format!("Reference: {code}\nTime: {at}\n{line}\n"),
        line,
        lines: Vec::new(),
        link: None,
        verdict: None,
        facts: Vec::new(),
        billers: Vec::new(),
        raw: None,
    }
}

fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    (code, reason): (&str, &str),
    errors: FieldErrors,
    found: Option<DecisionView>,
) -> Result<Response, HttpError> {
    let (code, reason) = (code.to_owned(), reason.to_owned());
    respond::page(console, Some(staff), status, |chrome| DecisionsPage { chrome, code, reason, errors, found })
}
