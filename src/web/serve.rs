//! The accept loop, with timeouts for handshakes and request heads, a connection limit and a shutdown timeout.
//!
//! `axum::serve` has no timeout for request heads, and its graceful shutdown waits forever for a stuck peer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;
use super::listener::Listener;
use super::live_router::LiveRouter;
use super::transport::LiveTransport;
use crate::telemetry::Condition;

/// Serves until `stop`, then drains: running requests have `drain` to finish.
pub async fn serve(
    listener: impl Into<Listener>,
    app: LiveRouter,
    transport: LiveTransport,
    max_connections: usize,
    drain: impl Fn() -> Duration,
    stop: CancellationToken,
) {
    let listener = listener.into();
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
                let (app, transport, stop) = (app.clone(), transport.clone(), stop.clone());
                connections.spawn(async move {
                    connection::serve(stream, peer, app, transport, stop).await;
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
    // New connections are refused from here on.
    drop(listener);
    connections.close();
    if tokio::time::timeout(drain(), connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "shutdown timeout: closing unfinished connections");
    }
}
