//! `/api/v1/jobs/{id}`: jobs that move billers, at a glance and as they go on.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::require;
use super::problem::problem;
use crate::access::{ApiKey, Scope};
use crate::enablement::{Job, JobState};
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::Slug;
use signpost_core::text::spread;

/// How often a job is looked at for those who watch it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A job, as machines see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobAnswer {
    id: String,
    /// Its biller; null: it is gone.
    biller: Option<Slug>,
    state: JobState,
    /// Users that are done.
    done: i64,
    /// Users in all.
    total: i64,
    /// How it stands, in words.
    message: String,
    /// Reference code, for support.
    reference: String,
}

impl JobAnswer {
    pub fn new(job: &Job, biller: Option<Slug>) -> Self {
        Self {
            id: job.id.clone(),
            biller,
            state: job.state,
            done: job.done,
            total: job.total,
            message: job.shown_message().to_owned(),
            reference: job.reference().to_string(),
        }
    }
}

/// Read a job
#[utoipa::path(
    get, path = paths::JOB, operation_id = "readJob", tag = "CIAM",
    params(("id" = String, Path, description = "Of the job.")),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The job.", body = JobAnswer)),
)]
pub(super) async fn job(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<JobAnswer>, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    Ok(Json(look(&state, &key, &id).await?))
}

/// Watch a job
///
/// The job now and at each change until it has ended (server-sent events, HTML standard, section 9.2); the data of an event is
/// the job as JSON. An event's id stands for what it says: whoever comes back with the last one is told what is new since.
#[utoipa::path(
    get, path = paths::JOB_EVENTS, operation_id = "watchJob", tag = "CIAM",
    params(
        ("id" = String, Path, description = "Of the job."),
        ("Last-Event-ID" = Option<String>, Header, description = "Of the last event that was seen."),
    ),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses(
        (status = 200, description = "Events, until the job has ended.", content(("text/event-stream"))),
        (status = 204, description = "The job has ended, and there is nothing new."),
    ),
)]
pub(super) async fn events(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let first = look(&state, &key, &id).await?;
    let seen = headers.get("last-event-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if first.state.is_final() && event_id(&text(&first)) == seen {
        // The one answer after which clients do not come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut response = Sse::new(changes(state, key, id, seen)).keep_alive(KeepAlive::default()).into_response();
    // Proxies that gather answers would hold the events back.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    Ok(response)
}

/// Ends with the job, with this instance, and when the job cannot be read: the client comes back then.
fn changes(state: AppState, key: ApiKey, id: String, seen: String) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((state, key, id, Some(seen)), async |(state, key, id, seen)| {
        let seen = seen?;
        loop {
            let job = look(&state, &key, &id).await.ok()?;
            let text = text(&job);
            let now = event_id(&text);
            if now != seen {
                let next = (!job.state.is_final()).then(|| now.clone());
                return Some((Ok(Event::default().id(now).data(text)), (state, key, id, next)));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = state.stopping.cancelled() => return None,
            }
        }
    })
}

async fn look(state: &AppState, key: &ApiKey, id: &str) -> Result<JobAnswer, Refusal> {
    let job = state.enablement.job(id).await?.ok_or_else(unknown)?;
    let billers = state.directory.billers().await?;
    let slug = billers.by_id(&job.biller_id).map(|biller| biller.slug.clone());
    let reaches = key.billers.is_none() || slug.as_ref().is_some_and(|slug| key.reaches(slug));
    if reaches { Ok(JobAnswer::new(&job, slug)) } else { Err(unknown()) }
}

fn text(job: &JobAnswer) -> String {
    serde_json::to_string(job).unwrap_or_default()
}

fn event_id(text: &str) -> String {
    format!("{:016x}", spread(text.as_bytes()))
}

/// What is not there, and what a key does not reach.
pub(super) fn unknown() -> Refusal {
    problem(StatusCode::NOT_FOUND, "not_found", "There is no such biller or job.")
}
