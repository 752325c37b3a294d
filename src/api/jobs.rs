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
use crate::provisioning::{Job, JobState};
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::Slug;
use signpost_core::text::hash64;

/// How often a job is looked at for those who watch it.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A job, as machines see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobResponse {
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

impl JobResponse {
    pub(super) fn new(job: &Job, biller: Option<Slug>) -> Self {
        Self {
            id: job.id.clone(),
            biller,
            state: job.state,
            done: job.done,
            total: job.total,
            message: job.display_message().to_owned(),
            reference: job.reference().to_string(),
        }
    }
}

/// Read a job
#[utoipa::path(
    get, path = paths::JOB, operation_id = "getJob", tag = "CIAM",
    params(("id" = String, Path, description = "Of the job.")),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The job.", body = JobResponse)),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<JobResponse>, HttpError> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    Ok(Json(load(&state, &key, &id).await?))
}

/// Watch a job
///
/// The job now and at each change until it has ended (server-sent events, HTML standard, section 9.2); the data of an event is
/// the job as JSON. An event's id stands for what it says: whoever comes back with the last one is told what is new since.
#[utoipa::path(
    get, path = paths::JOB_EVENTS, operation_id = "streamJobEvents", tag = "CIAM",
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
) -> Result<Response, HttpError> {
    let key = require(&state, &headers, Scope::BillersRead).await?;
    let first = load(&state, &key, &id).await?;
    let last_seen_id =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if first.state.is_final() && event_id(&to_json(&first)) == last_seen_id {
        // The one answer after which clients do not come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut response =
        Sse::new(job_updates(state, key, id, last_seen_id)).keep_alive(KeepAlive::default()).into_response();
    // Proxies that gather answers would hold the events back.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    Ok(response)
}

/// Ends with the job, with this instance, and when the job cannot be read: the client comes back then.
fn job_updates(
    state: AppState,
    key: ApiKey,
    id: String,
    last_seen_id: String,
) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((state, key, id, Some(last_seen_id)), async |(state, key, id, last_seen_id)| {
        let last_seen_id = last_seen_id?;
        loop {
            let job = load(&state, &key, &id).await.ok()?;
            let text = to_json(&job);
            let now = event_id(&text);
            if now != last_seen_id {
                let next = (!job.state.is_final()).then(|| now.clone());
                return Some((Ok(Event::default().id(now).data(text)), (state, key, id, next)));
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = state.shutdown.cancelled() => return None,
            }
        }
    })
}

async fn load(state: &AppState, key: &ApiKey, id: &str) -> Result<JobResponse, HttpError> {
    let job = state.provisioning.job(id).await?.ok_or_else(not_found)?;
    let billers = state.directory.billers().await?;
    let slug = billers.by_id(&job.biller_id).map(|biller| biller.slug.clone());
    let is_in_scope = key.billers.is_none() || slug.as_ref().is_some_and(|slug| key.permits_biller(slug));
    if is_in_scope { Ok(JobResponse::new(&job, slug)) } else { Err(not_found()) }
}

fn to_json(job: &JobResponse) -> String {
    serde_json::to_string(job).unwrap_or_default()
}

fn event_id(text: &str) -> String {
    format!("{:016x}", hash64(text.as_bytes()))
}

/// What is not there, and what a key does not reach.
pub(super) fn not_found() -> HttpError {
    problem(StatusCode::NOT_FOUND, "not_found", "There is no such biller or job.")
}
