//! The accept loop, with a timeout for request heads, a connection limit and a shutdown timeout.
//!
//! `axum::serve` has no timeout for request heads, and its graceful shutdown waits forever for a stuck peer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::client::Peer;
use crate::telemetry::Condition;

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 32 * 1024;

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

    fn get(&self) -> Router {
        Router::clone(&self.0.load())
    }
}

/// Serves until `stop`, then drains: running requests have `drain` to finish.
pub async fn serve(
    listener: TcpListener,
    app: LiveRouter,
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
                let (app, stop) = (app.clone(), stop.clone());
                connections.spawn(async move {
                    connection(stream, Peer(peer), app, stop).await;
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

async fn connection(stream: TcpStream, peer: Peer, app: LiveRouter, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let app = app.get();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            Ok::<_, Infallible>(app.oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended early");
    }
}
