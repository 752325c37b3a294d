//! `/metrics`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use tokio::sync::Mutex;

use super::gauges;
use crate::state::AppState;
use crate::telemetry::metrics::{CONTENT_TYPE, Snapshot, series};

/// How old values may be that the database was asked for. Several scrapers cost as much as one.
const MAX_AGE: Duration = Duration::from_secs(5);
/// Prometheus gives up after ten seconds by default.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads gauges at a scrape, one scrape at a time.
#[derive(Clone, Debug)]
pub(super) struct Scraper {
    state: AppState,
    latest: Arc<Mutex<Option<(Instant, Snapshot)>>>,
}

impl Scraper {
    pub(super) fn new(state: AppState) -> Self {
        Self { state, latest: Arc::default() }
    }

    async fn snapshot(&self) -> Snapshot {
        let mut latest = self.latest.lock().await;
        let mut snapshot = match &*latest {
            Some((at, snapshot)) if at.elapsed() < MAX_AGE => snapshot.clone(),
            _ => {
                let snapshot = self.read().await;
                *latest = Some((Instant::now(), snapshot.clone()));
                snapshot
            }
        };
        snapshot.extend(gauges::of_process(&self.state));
        snapshot.set(&series::BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0);
        snapshot
    }

    /// Reads every source at the same time. A source that fails is left out and counted.
    async fn read(&self) -> Snapshot {
        let state = &self.state;
        let (mail, changes, jobs, sessions, issuers, wal) = tokio::join!(
            self.bounded("mail", gauges::mail(state)),
            self.bounded("user_changes", gauges::user_changes(state)),
            self.bounded("jobs", gauges::jobs(state)),
            self.bounded("sessions", gauges::sessions(state)),
            self.bounded("issuers", gauges::issuers(state)),
            self.bounded("wal", gauges::wal(state)),
        );
        let mut all = Snapshot::default();
        [mail, changes, jobs, sessions, issuers, wal].into_iter().flatten().for_each(|part| all.extend(part));
        all
    }

    async fn bounded<E: std::fmt::Display>(
        &self,
        source: &'static str,
        read: impl Future<Output = Result<Snapshot, E>>,
    ) -> Option<Snapshot> {
        let error = match tokio::time::timeout(READ_TIMEOUT, read).await {
            Ok(Ok(snapshot)) => return Some(snapshot),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "timeout".to_owned(),
        };
        tracing::debug!(source, error, "a part of the metrics could not be read");
        self.state.metrics.record_scrape_failure(source);
        None
    }
}

/// `GET /metrics`
pub(super) async fn metrics(State(scraper): State<Scraper>) -> Response {
    let snapshot = scraper.snapshot().await;
    match scraper.state.metrics.encode(&snapshot) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "the metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
