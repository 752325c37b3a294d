//! The accept loop, with timeouts for handshakes and request heads, a connection limit and a shutdown timeout.
//!
//! `axum::serve` has no timeout for request heads, and its graceful shutdown waits forever for a stuck peer.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Peer;
use super::connection;
use super::transport::LiveTransport;
use crate::telemetry::Condition;

/// The router of a listener. Requests that have begun keep the one that they began with. Clones share it.
#[derive(Clone, Debug)]
pub struct LiveRouter(Arc<ArcSwap<Router>>);

impl LiveRouter {
    pub fn new(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }

    pub fn replace(&self, router: Router) {
        self.0.store(Arc::new(router));
    }

    pub(super) fn get(&self) -> Router {
        Router::clone(&self.0.load())
    }
}

/// Serves until `stop`, then drains: running requests have `drain` to finish.
pub async fn serve(
    listener: TcpListener,
    app: LiveRouter,
    transport: LiveTransport,
    max_connections: usize,
    drain: impl Fn() -> Duration,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(max_connections));
    let connections = TaskTracker::new();
    let refusing = Condition::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(lasted) = refusing.ends() {
                    tracing::info!(seconds = lasted.as_secs(), "connections are accepted again");
                }
                let (app, transport, stop) = (app.clone(), transport.get(), stop.clone());
                connections.spawn(async move {
                    connection::serve(stream, Peer(peer), app, &transport, stop).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Usually the process is out of file descriptors: wait for some to be released instead of spinning.
                if refusing.begins() {
                    tracing::error!(error = %error, "no connection can be accepted; trying again");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    if tokio::time::timeout(drain(), connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "shutdown timeout: closing unfinished connections");
    }
}
