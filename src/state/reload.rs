//! The settings in effect, and requests to read them again.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{AppState, Services};

/// What new requests and tasks begin with. A reload replaces it; what has begun keeps the state that it began with, so each
/// request sees one configuration. Clones share it.
#[derive(Clone, Debug)]
pub struct CurrentState(Arc<ArcSwap<Services>>);

impl CurrentState {
    pub fn new(state: &AppState) -> Self {
        Self(Arc::new(ArcSwap::new(Arc::clone(&state.0))))
    }

    pub fn get(&self) -> AppState {
        AppState(self.0.load_full())
    }

    pub fn replace(&self, state: &AppState) {
        self.0.store(Arc::clone(&state.0));
    }
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ReloadReport {
    Applied {
        /// The sections of the settings that differ from before.
        changed: Vec<String>,
        /// Settings that differ and apply after a restart.
        needs_restart: Vec<String>,
    },
    /// The previous settings stay in effect.
    Rejected { problems: Vec<String> },
}

/// Requests reloads. One reload runs at a time.
#[derive(Clone, Debug)]
pub struct ReloadRequests(mpsc::Sender<oneshot::Sender<ReloadReport>>);

/// The requests that wait.
#[derive(Debug)]
pub struct ReloadQueue(mpsc::Receiver<oneshot::Sender<ReloadReport>>);

impl ReloadRequests {
    pub fn new() -> (Self, ReloadQueue) {
        let (requests, queue) = mpsc::channel(1);
        (Self(requests), ReloadQueue(queue))
    }

    /// Has the settings read again. `None`: this process does not serve.
    pub async fn request(&self) -> Option<ReloadReport> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).await.ok()?;
        answered.await.ok()
    }
}

impl ReloadQueue {
    /// Runs a reload for each request.
    pub async fn run(mut self, mut reload: impl AsyncFnMut() -> ReloadReport) {
        while let Some(answer) = self.0.recv().await {
            // An error means that the requester does not wait any more.
            let _ = answer.send(reload().await);
        }
    }
}
