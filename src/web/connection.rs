//! One connection: its handshake, and then requests in the version of HTTP that the handshake chose.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::client::Peer;
use super::listener::Stream;
use super::live_router::LiveRouter;
use super::proxy_protocol;
use super::tls;
use super::transport::LiveTransport;

/// For everything before the first request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: u16 = 32 * 1024;

/// Streams that a client may have open at a time. The next ones wait at the client.
const MAX_STREAMS: u32 = 100;
/// Streams that the client has reset and that no request has been made of yet. More of them are an attack (CVE-2023-44487), which
/// ends the connection.
const MAX_RESET_STREAMS: usize = 20;
/// Streams that we have reset because of errors of the client. More of them end the connection.
const MAX_ERROR_STREAMS: usize = 100;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without a new request for this long is closed. The client opens another.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long its last requests may take: longer than any handler.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(150);

/// Serves the requests of a connection. At `stop`, the running ones finish.
pub(super) async fn serve(
    stream: Stream,
    peer: Peer,
    app: LiveRouter,
    transport: LiveTransport,
    stop: CancellationToken,
) {
    let opened = tokio::select! {
        opened = timeout(HANDSHAKE_TIMEOUT, open(stream, peer, &transport)) => opened,
        () = stop.cancelled() => return,
    };
    match opened.map_err(io::Error::from).flatten() {
        Ok((stream, version, client)) => requests(stream, version, client, app, stop).await,
        Err(error) => tracing::debug!(%peer, error = %error, "a connection was closed in its handshake"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

async fn open(
    mut stream: Stream,
    peer: Peer,
    transport: &LiveTransport,
) -> io::Result<(impl AsyncRead + AsyncWrite + Send + Unpin + 'static, Version, Peer)> {
    let current = transport.get();
    let client = match &current.proxies {
        Some(trusted) => proxy_protocol::client(&mut stream, peer, trusted, &transport.refused).await?,
        None => peer,
    };
    let Some(tls) = &current.tls else { return Ok((Either::Left(stream), Version::Http1, client)) };
    let stream = tls.acceptor().accept(stream).await?;
    let version = match stream.get_ref().1.alpn_protocol() {
        Some(tls::H2) => Version::Http2,
        _ => Version::Http1,
    };
    Ok((Either::Right(stream), version, client))
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    version: Version,
    peer: Peer,
    app: LiveRouter,
    stop: CancellationToken,
) {
    let (began, mut begins) = watch::channel(());
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        began.send_replace(());
        let app = app.get();
        async move {
            let mut request = request.map(Body::new);
            name_host(&mut request);
            request.extensions_mut().insert(peer);
            Ok::<_, Infallible>(app.oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let builder = builder(version);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    // HTTP/1.1 has the limit of `header_read_timeout`.
    let mut idle_limit = HEAD_TIMEOUT;
    let ended = loop {
        tokio::select! {
            ended = served.as_mut() => break ended,
            () = stop.cancelled() => {
                served.as_mut().graceful_shutdown();
                break served.await;
            }
            request = timeout(idle_limit, begins.changed()), if version == Version::Http2 => {
                if request.is_ok() {
                    idle_limit = IDLE_TIMEOUT;
                    continue;
                }
                served.as_mut().graceful_shutdown();
                break timeout(CLOSE_TIMEOUT, served).await.unwrap_or(Ok(()));
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended early");
    }
}

fn builder(version: Version) -> auto::Builder<TokioExecutor> {
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = match version {
        Version::Http1 => builder.http1_only(),
        Version::Http2 => builder.http2_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(usize::from(MAX_HEAD_BYTES))
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::from(MAX_HEAD_BYTES))
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_ERROR_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// HTTP/2 has the host in `:authority`. Everything after this reads `Host` and a path, as of HTTP/1.1 (RFC 9113, section 8.3.1).
fn name_host(request: &mut http::Request<Body>) {
    if request.version() != http::Version::HTTP_2 || request.headers().contains_key(header::HOST) {
        return;
    }
    let uri = request.uri();
    let host = uri.authority().and_then(|named| HeaderValue::from_str(named.as_str()).ok());
    if let (Some(host), Some(path)) = (host, uri.path_and_query().cloned()) {
        *request.uri_mut() = path.into();
        request.headers_mut().insert(header::HOST, host);
    }
}
