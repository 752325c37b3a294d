//! Enablement jobs. The page works without a script; the script updates it while the job runs.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::Event;
use axum::response::{Redirect, Response};
use futures_util::stream::{Stream, unfold};
use http::StatusCode;
use serde_json::json;

use super::extract::{Operator, PathJob, find_job};
use super::pages::{Badge, JobPage, JobView};
use super::staff::Staff;
use super::{Console, respond};
use crate::provisioning::{Job, JobState, StepState};
use crate::web::HttpError;

/// How often a job is polled while its page is open.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// `GET /jobs/{id}`
pub(super) async fn page(
    State(console): State<Console>,
    staff: Staff,
    PathJob(job): PathJob,
) -> Result<Response, HttpError> {
    let billers = console.app.directory.billers().await?;
    let biller = billers.by_id(&job.biller_id).ok_or_else(|| HttpError::from_status(StatusCode::NOT_FOUND))?;
    let steps = console.app.provisioning.steps(&job).await?;
    let steps = steps.into_iter().map(|step| (step.kind, step.object_id, step_text(step.state))).collect();
    let can_cancel = staff.can_operate() && !job.state.is_final() && !job.cancel_requested;
    respond::page(&console, Some(&staff), StatusCode::OK, |chrome| JobPage {
        chrome,
        job: view(&job),
        slug: biller.slug.to_string(),
        name: biller.name.clone(),
        steps,
        can_cancel,
    })
}

/// `GET /jobs/{id}/events`: how far the job is, at each change until it has ended (server-sent events, HTML standard, section
/// 9.2).
pub(super) async fn events(State(console): State<Console>, _: Staff, PathJob(job): PathJob) -> Response {
    respond::event_stream(progress_events(console, job.id))
}

/// Ends with the job, with this instance, and when the job cannot be read: the browser comes back then.
fn progress_events(console: Console, id: String) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((console, id, Some(String::new())), async |(console, id, seen)| {
        let seen = seen?;
        loop {
            let job = find_job(&console, &id).await.ok()?;
            let text = progress_json(&job);
            if text != seen {
                let next = (!job.state.is_final()).then(|| text.clone());
                return Some((Ok(Event::default().data(text)), (console, id, next)));
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = console.app.shutdown.cancelled() => return None,
            }
        }
    })
}

fn progress_json(job: &Job) -> String {
    let view = view(job);
    json!({
        "final": view.is_final, "message": view.message, "count": view.count, "done": view.done, "total": view.total,
    })
    .to_string()
}

/// `POST /jobs/{id}/cancel`
pub(super) async fn cancel(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathJob(job): PathJob,
) -> Result<Redirect, HttpError> {
    let billers = console.app.directory.billers().await?;
    let biller = billers.by_id(&job.biller_id).ok_or_else(|| HttpError::from_status(StatusCode::NOT_FOUND))?;
    let open = console.app.provisioning.latest_job(&biller.id).await?;
    // The page of an earlier job must not cancel a later one.
    if open.is_some_and(|open| open.id == job.id) {
        let result = console.app.provisioning.cancel(&biller.slug, &console.actor_context(&staff)).await;
        result.map_err(super::provisioning_error::http_error)?;
    }
    Ok(Redirect::to(&format!("/jobs/{}", job.id)))
}

/// A job, to be read.
pub(super) fn view(job: &Job) -> JobView {
    let (word, tone) = match job.state {
        JobState::Queued => ("queued", ""),
        JobState::Running => ("running", "warn"),
        JobState::RollingBack => ("rolling back", "warn"),
        JobState::Active => ("done", "good"),
        JobState::RolledBack => ("rolled back", "bad"),
        JobState::NeedsAttention => ("needs attention", "bad"),
    };
    JobView {
        id: job.id.clone(),
        state: Badge { word: word.to_owned(), tone },
        is_final: job.state.is_final(),
        has_failed: matches!(job.state, JobState::RolledBack | JobState::NeedsAttention),
        message: job.display_message().to_owned(),
        problem: job.problem.clone(),
        done: job.done,
        total: job.total,
        count: format!("{} of {} users", job.done, job.total),
        started: job.created_at.to_string(),
        ended: job.ended_at.map(|at| at.to_string()).unwrap_or_default(),
        reference: job.reference().to_string(),
    }
}

fn step_text(state: StepState) -> &'static str {
    match state {
        StepState::Existing => "existed before, kept",
        StepState::Reactivated => "existed before, reactivated",
        StepState::Intended => "pending",
        StepState::Confirmed => "created",
        StepState::RolledBack => "removed",
        StepState::Selected => "selected",
    }
}
