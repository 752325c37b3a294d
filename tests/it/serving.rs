//! The listener: requests over the network, and a stop that does not wait for ever.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use signpost::app::App;
use signpost::db::Schema;
use signpost::telemetry::metrics::Snapshot;
use signpost_core::{Clock, Random};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::harness::{World, config};

struct Running {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

async fn start() -> Running {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("test.db").display());
    let mut config = config(&database);
    config.server.drain_seconds = 1;
    let app = App::build(config, Schema::Migrate, Clock::System, Random::system()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(app.serve(listener, stop.clone()));
    Running { address, stop, serving, _folder: folder }
}

async fn send_raw(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn malformed_requests_are_rejected() {
    let running = start().await;
    let good =
        send_raw(running.address, "GET /login HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n").await;
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
    for (request, statuses) in [
        (
            "GET /login HTTP/1.1\r\nHost: localhost:8080\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
            &["421", "400"][..],
        ),
        ("GET http://evil.example/login HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n", &["421"]),
        ("GET /login HTTP/1.1\r\nConnection: close\r\n\r\n", &["421", "400"]),
        (
            "POST /login HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
            &["400", "415"],
        ),
        ("TRACE /login HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n", &["405"]),
        ("nonsense\r\n\r\n", &["400"]),
    ] {
        let answer = send_raw(running.address, request).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(statuses.contains(&status), "{request:?}: {answer}");
        assert!(!answer.contains("evil.example"), "{request:?}: {answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n", "x".repeat(70_000));
    let answer = send_raw(running.address, &long).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    running.stop.cancel();
    running.serving.await.unwrap();
}

#[tokio::test]
async fn stuck_connection_does_not_block_shutdown() {
    let running = start().await;
    let mut stuck = TcpStream::connect(running.address).await.unwrap();
    stuck.write_all(b"POST /login HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: 100\r\n\r\nuser").await.unwrap();
    let good =
        send_raw(running.address, "GET /help HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n").await;
    assert!(good.starts_with("HTTP/1.1 200"));
    running.stop.cancel();
    tokio::time::timeout(Duration::from_secs(8), running.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn overload_is_refused_instead_of_queued() {
    let world = World::start().await;
    let all = u32::try_from(world.state.config.server.max_requests).unwrap();
    let turns = world.state.turns.acquire_many(all).await.unwrap();
    for path in ["/login", "/api/v1/billers"] {
        let refused = world.browser().get(path).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!((1..=5).contains(&refused.header("retry-after").parse::<u16>().unwrap()), "{path}");
    }
    let mut waiting = world.browser();
    let waiting = tokio::spawn(async move { waiting.get("/login").await.status });
    tokio::task::yield_now().await;
    drop(turns);
    assert_eq!(waiting.await.unwrap(), StatusCode::OK, "a short burst only waits");
    let metrics = world.state.metrics.encode(&Snapshot::default()).unwrap();
    assert!(metrics.contains("\nsignpost_http_requests_shed_total 2\n"), "{metrics}");
}

#[tokio::test]
async fn slow_bodies_take_no_turn() {
    let world = World::start().await;
    let turns = &world.state.turns;
    let all = turns.available_permits();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let part = receiver.recv().await?;
        Some((part, receiver))
    });
    let mut slow = world.browser();
    let slow = tokio::spawn(async move {
        let request = Request::post("/login").header("content-type", "application/x-www-form-urlencoded");
        slow.send_with(request, Body::from_stream(body)).await
    });
    sender.send(Ok(b"username=".to_vec())).await.unwrap();
    // The handler has taken the first part when there is room for a second one.
    sender.send(Ok(b"no".to_vec())).await.unwrap();
    assert_eq!(turns.available_permits(), all);
    sender.send(Ok(b"body".to_vec())).await.unwrap();
    drop(sender);
    assert_eq!(slow.await.unwrap().status, StatusCode::SEE_OTHER);
    assert_eq!(turns.available_permits(), all);
}
