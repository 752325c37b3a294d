//! `/api/v1/jobs/{id}`: enablement jobs, by polling and as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRef, Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::ApiKeyFor;
use super::problem::not_found;
use crate::access::{ApiKey, Scope, scope};
use crate::directory::Directory;
use crate::provisioning::{Job, JobState, Provisioning};
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::Slug;
use signpost_core::text::hash64;
use tokio_util::sync::CancellationToken;

/// How often a stream reads the job.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A job that migrates a biller.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobResponse {
    id: String,
    /// The biller; null if it no longer exists.
    biller: Option<Slug>,
    state: JobState,
    /// The number of users imported so far.
    done: i64,
    /// The number of users to import.
    total: i64,
    /// The progress, as a sentence.
    message: String,
    /// The reference code of the job, for support.
    reference: String,
}

impl JobResponse {
    pub(crate) fn new(job: &Job, biller: Option<Slug>) -> Self {
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

/// Get a job
#[utoipa::path(
    get, path = paths::JOB, operation_id = "getJob", tag = "CIAM",
    params(("id" = String, Path, description = "The id of the job.")),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses((status = 200, description = "The job.", body = JobResponse)),
)]
pub(super) async fn get(
    key: ApiKeyFor<scope::BillersRead>,
    State(jobs): State<Jobs>,
    Path(id): Path<String>,
) -> Result<Json<JobResponse>, HttpError> {
    Ok(Json(jobs.load(&key, &id).await?))
}

/// Stream job events
///
/// Sends the job now and after every change until it ends, as server-sent events (HTML standard, section 9.2). The data of an event
/// is the job as JSON. A client that reconnects with `Last-Event-ID` gets the job only if it changed since that event.
#[utoipa::path(
    get, path = paths::JOB_EVENTS, operation_id = "streamJobEvents", tag = "CIAM",
    params(
        ("id" = String, Path, description = "The id of the job."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client received."),
    ),
    security(("key" = [Scope::BillersRead.as_str()])),
    responses(
        (status = 200, description = "The events, until the job ends.", content(("text/event-stream"))),
        (status = 204, description = "The job has ended and has not changed since the last event. Do not reconnect."),
    ),
)]
pub(super) async fn events(
    key: ApiKeyFor<scope::BillersRead>,
    State(jobs): State<Jobs>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let first = jobs.load(&key, &id).await?;
    let last_seen_id =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if first.state.is_final() && event_id(&to_json(&first)) == last_seen_id {
        // 204 is the response after which clients do not reconnect.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut response =
        Sse::new(job_updates(jobs, key.into_key(), id, last_seen_id)).keep_alive(KeepAlive::default()).into_response();
    // nginx buffers responses by default, which would delay the events.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Ends when the job ends, when this instance stops, and when the job cannot be read: the client reconnects then.
fn job_updates(
    jobs: Jobs,
    key: ApiKey,
    id: String,
    last_seen_id: String,
) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((jobs, key, id, Some(last_seen_id)), async |(jobs, key, id, last_seen_id)| {
        let last_seen_id = last_seen_id?;
        loop {
            let job = jobs.load(&key, &id).await.ok()?;
            let text = to_json(&job);
            let now = event_id(&text);
            if now != last_seen_id {
                let next = (!job.state.is_final()).then(|| now.clone());
                return Some((Ok(Event::default().id(now).data(text)), (jobs, key, id, next)));
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = jobs.shutdown.cancelled() => return None,
            }
        }
    })
}

/// The jobs that a key has access to.
#[derive(Clone)]
pub(super) struct Jobs {
    provisioning: Provisioning,
    directory: Directory,
    shutdown: CancellationToken,
}

impl FromRef<AppState> for Jobs {
    fn from_ref(state: &AppState) -> Self {
        Self {
            provisioning: state.provisioning.clone(),
            directory: state.directory.clone(),
            shutdown: state.shutdown.clone(),
        }
    }
}

impl Jobs {
    async fn load(&self, key: &ApiKey, id: &str) -> Result<JobResponse, HttpError> {
        let job = self.provisioning.job(id).await?;
        // Read for an unknown job too, which so takes as long as one out of scope.
        let billers = self.directory.billers().await?;
        let job = job.ok_or_else(not_found)?;
        let slug = billers.by_id(&job.biller_id).map(|biller| biller.slug.clone());
        let is_in_scope = key.billers.is_none() || slug.as_ref().is_some_and(|slug| key.permits_biller(slug));
        if is_in_scope { Ok(JobResponse::new(&job, slug)) } else { Err(not_found()) }
    }
}

fn to_json(job: &JobResponse) -> String {
    serde_json::to_string(job).unwrap_or_default()
}

fn event_id(text: &str) -> String {
    format!("{:016x}", hash64(text.as_bytes()))
}
