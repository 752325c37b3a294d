//! The impact preview of a change. A page waits for the count for a moment only, and then shows
//! how far it is; with a script it follows the count by itself.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream::{Stream, unfold};
use http::StatusCode;
use serde_json::json;
use tokio::sync::watch;

use super::extract::{Operator, PathId};
use super::impact_jobs::{ImpactQuery, JobStatus};
use super::pages::{ImpactView, ProgressView};
use super::staff::Staff;
use super::{Console, respond};
use crate::audit::{Action, AuditEvent};
use crate::directory::Biller;
use crate::routing::{Impact, Outcome, Progress, ProposedChange};
use crate::web::HttpError;

/// A page waits so long for a count.
const RESULT_TIMEOUT: Duration = Duration::from_secs(1);

/// What a change of a biller would do, or how far the count of that is. `refresh_url` is the address of the page that shows it.
pub(super) async fn preview(
    console: &Console,
    staff: &Staff,
    biller: &Biller,
    change: ProposedChange,
    refresh_url: String,
) -> Result<ImpactView, HttpError> {
    let state = &console.app;
    let billers = state.directory.billers().await?;
    let biller = billers.by_id(&biller.id).map_or(biller, AsRef::as_ref);
    let after = match change.apply_to(biller) {
        Ok(after) => [after],
        Err(why) => return Ok(ImpactView { line: why.to_string(), ..ImpactView::default() }),
    };
    let event = AuditEvent::new(Action::ImpactPreviewed).at(&biller.slug).with("change", change.summary());
    let (actor, db, routing) = (console.actor_context(staff), state.db.clone(), state.routing.clone());
    let query = ImpactQuery { person: staff.identity(), biller: biller.id.clone(), change };
    let count = console.impact_jobs.get_or_start(query, billers.revision(), move |progress_sink| async move {
        actor.record_alone(&db, event).await?;
        routing.impact(&after, &progress_sink).await
    });
    let Some(mut count) = count else {
        let line = "Preview not available: too many previews are running. Try again later.".to_owned();
        return Ok(ImpactView { line, refresh_url, ..ImpactView::default() });
    };
    // Whichever comes first, it is shown as it stands then.
    let _ = tokio::time::timeout(RESULT_TIMEOUT, count.status.wait_for(JobStatus::has_ended)).await;
    let status = count.status.borrow().clone();
    Ok(view(status, count.id, refresh_url))
}

/// `GET /impact/{id}/events`: how far a count is, at each change until it has ended (server-sent events, HTML standard, section
/// 9.2).
pub(super) async fn events(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathId(id): PathId,
) -> Result<Response, HttpError> {
    let count = console.impact_jobs.find(&id, &staff.identity());
    let mut count = count.ok_or_else(|| HttpError::from_status(StatusCode::NOT_FOUND))?;
    count.status.mark_changed();
    Ok(respond::event_stream(progress_events(count.status)))
}

/// Ends with the count, which ends with this instance.
fn progress_events(status: watch::Receiver<JobStatus>) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(Some(status), async |status| {
        let mut status = status?;
        status.changed().await.ok()?;
        let now = status.borrow_and_update().clone();
        Some((Ok(Event::default().data(progress_json(&now))), (!now.has_ended()).then_some(status)))
    })
}

fn progress_json(status: &JobStatus) -> String {
    let json = match status {
        JobStatus::Running(progress) => {
            let (count, Progress { done, total }) = (progress_text(*progress), *progress);
            json!({ "final": false, "message": IN_PROGRESS, "count": count, "done": done, "total": total })
        }
        JobStatus::Ended(..) => json!({ "final": true }),
    };
    json.to_string()
}

const IN_PROGRESS: &str = "Calculating the impact. You can submit the form without waiting.";

fn progress_text(Progress { done, total }: Progress) -> String {
    match total {
        0 => "Not started".to_owned(),
        _ => format!("{} of {} usernames evaluated", format_thousands(done), format_thousands(total)),
    }
}

fn view(status: JobStatus, id: String, refresh_url: String) -> ImpactView {
    match status {
        JobStatus::Running(progress) => {
            let Progress { done, total } = progress;
            let progress = Some(ProgressView { id, done, total, count: progress_text(progress) });
            ImpactView { line: IN_PROGRESS.to_owned(), progress, refresh_url, ..ImpactView::default() }
        }
        JobStatus::Ended(_, Ok(impact)) => result_view(&impact),
        JobStatus::Ended(_, Err(why)) => {
            ImpactView { line: format!("Preview failed: {why}."), refresh_url, ..ImpactView::default() }
        }
    }
}

fn result_view(impact: &Impact) -> ImpactView {
    let mut warnings = Vec::new();
    if impact.ambiguous > 0 {
        warnings.push(format!(
            "Usernames that would become ambiguous because they belong to several billers: {}.",
            format_thousands(impact.ambiguous)
        ));
    }
    if impact.no_destination > 0 {
        warnings.push(format!(
            "Usernames that would have no sign-in destination: {}.",
            format_thousands(impact.no_destination)
        ));
    }
    let transitions = impact.transitions.iter();
    let transitions = transitions.map(|step| {
        (
            describe_outcome(step.from),
            describe_outcome(step.to),
            format_thousands(step.usernames),
            step.samples.join(", "),
        )
    });
    ImpactView {
        line: format!(
            "Of {} usernames at this biller, {} would have a new destination at the shared sign-in page.",
            format_thousands(impact.usernames),
            format_thousands(impact.changed)
        ),
        warnings,
        transitions: transitions.collect(),
        ..ImpactView::default()
    }
}

fn describe_outcome(outcome: Outcome) -> String {
    format!("row {}: {}", outcome.row, outcome.decision.label())
}

/// As people read numbers: 1,000,000.
fn format_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_separators() {
        assert_eq!(
            [0, 999, 1000, 120_000, 1_000_000].map(format_thousands),
            ["0", "999", "1,000", "120,000", "1,000,000"]
        );
        assert_eq!(progress_text(Progress { done: 0, total: 0 }), "Not started");
    }
}
