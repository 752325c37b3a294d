//! TLS and HTTP/2 at the public listener, from the outside: handshakes, certificates that are replaced, and hostile clients.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http::{Request, Response, StatusCode};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Process, World, wait_for};

const TIMEOUT: Duration = Duration::from_secs(20);
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// A certificate of its own issuer, with its key.
struct Pair {
    der: CertificateDer<'static>,
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        Self::until(2099)
    }

    fn until(year: i32) -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { der: certificate.der().clone(), certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A gateway that serves https with the files of its folder.
struct Gateway {
    world: World,
    process: Process,
}

fn files(world: &World) -> [PathBuf; 2] {
    ["public.pem", "public.key"].map(|name| world.folder.path().join(name))
}

fn write(world: &World, pair: &Pair) {
    let [certificate, key] = files(world);
    std::fs::write(key, &pair.key).unwrap();
    std::fs::write(certificate, &pair.certificate).unwrap();
}

/// A world whose settings name the files of a certificate.
async fn world() -> World {
    let mut world = World::with_system_clock().await;
    let [certificate, key] = files(&world);
    let url = "public_url = \"http://localhost:8080\"";
    assert!(world.settings.contains(url), "{}", world.settings);
    world.settings = world.settings.replace(
        url,
        &format!("public_url = \"https://localhost:8080\"\ntls_certificate = {certificate:?}\ntls_key = {key:?}"),
    );
    world
}

impl Gateway {
    async fn start(pair: &Pair) -> Self {
        let world = world().await;
        write(&world, pair);
        let process = Process::serve(&world).await;
        Self { world, process }
    }

    async fn connect(&self, pair: &Pair, protocol: &[u8]) -> io::Result<TlsStream<TcpStream>> {
        connect(self.process.public, pair, protocol, &[&TLS12, &TLS13]).await
    }

    async fn http2(&self, pair: &Pair) -> h2::client::SendRequest<Bytes> {
        let stream = self.connect(pair, HTTP2).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client.ready().await.unwrap()
    }

    /// Waits until new connections get this certificate.
    async fn serves(&self, pair: &Pair) {
        let connected = async || self.connect(pair, HTTP1).await.ok();
        wait_for(TIMEOUT, "the new certificate", connected).await;
    }

    async fn problem(&self, message: &str) -> String {
        let line = self.process.line(message, |line| line["fields"]["message"] == message).await;
        line["fields"]["problem"].as_str().unwrap().to_owned()
    }
}

async fn connect(
    address: SocketAddr,
    pair: &Pair,
    protocol: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    handshake(TcpStream::connect(address).await?, pair, protocol, versions).await
}

async fn handshake(
    stream: TcpStream,
    pair: &Pair,
    protocol: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(pair.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

async fn get(mut stream: TlsStream<TcpStream>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn fetch(client: &mut h2::client::SendRequest<Bytes>, request: Request<()>) -> Response<String> {
    let (response, _) = client.send_request(request, true).unwrap();
    let (parts, mut body) = response.await.unwrap().into_parts();
    let mut text = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.unwrap();
        body.flow_control().release_capacity(part.len()).unwrap();
        text.extend_from_slice(&part);
    }
    Response::from_parts(parts, String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn https_is_served_by_both_versions_of_tls() {
    let pair = Pair::new();
    let gateway = Gateway::start(&pair).await;
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let stream = connect(gateway.process.public, &pair, HTTP1, &[version]).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(HTTP1));
        let page = get(stream, "/login").await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(page.contains("strict-transport-security: max-age=63072000\r\n"), "{page}");
    }
    assert_eq!(gateway.process.stop().await, Some(0));
}

#[tokio::test]
async fn http2_is_negotiated() {
    let pair = Pair::new();
    let gateway = Gateway::start(&pair).await;
    let mut client = gateway.http2(&pair).await;
    let page = fetch(&mut client, Request::get("https://localhost:8080/login").body(()).unwrap()).await;
    assert_eq!((page.status(), page.version()), (StatusCode::OK, http::Version::HTTP_2));
    assert!(page.body().contains("<form") && page.headers().contains_key("strict-transport-security"), "{page:?}");

    let form = "username=one-legacy";
    let post = Request::post("https://LOCALHOST:8080/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "https://localhost:8080")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(post, false).unwrap();
    body.send_data(form.into(), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(response.headers()["location"].to_str().unwrap().contains("/login?token="), "{response:?}");

    for (address, host) in
        [("https://evil.example/login", None), ("https://localhost:8080/login", Some("evil.example"))]
    {
        let mut request = Request::get(address);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let refused = fetch(&mut client, request.body(()).unwrap()).await;
        assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{address} {host:?}");
    }
    let large = Request::get("https://localhost:8080/login").header("x-large", "x".repeat(40 * 1024)).body(()).unwrap();
    let refused = fetch(&mut client, large).await;
    assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);

    // A shutdown lets requests finish and closes the connection.
    assert_eq!(gateway.process.stop().await, Some(0));
}

#[tokio::test]
async fn plain_requests_to_the_tls_port_are_closed_at_once() {
    let pair = Pair::new();
    let gateway = Gateway::start(&pair).await;
    let started = Instant::now();
    let mut plain = TcpStream::connect(gateway.process.public).await.unwrap();
    plain.write_all(b"GET /login HTTP/1.1\r\nHost: localhost:8080\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The end may also be a reset, because the request was not read.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    gateway.serves(&pair).await;
}

#[tokio::test]
async fn slow_handshakes_are_cut_and_block_no_one() {
    let pair = Pair::new();
    let gateway = Gateway::start(&pair).await;
    let mut silent = TcpStream::connect(gateway.process.public).await.unwrap();
    let mut slow = TcpStream::connect(gateway.process.public).await.unwrap();
    // The beginning of a ClientHello.
    slow.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    let page = get(gateway.connect(&pair, HTTP1).await.unwrap(), "/login").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    for stream in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut rest)).await.expect("it is closed");
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn a_proxy_header_comes_before_the_handshake() {
    let pair = Pair::new();
    let mut world = world().await;
    write(&world, &pair);
    let settings = "[server]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]\n";
    world.settings = world.settings.replace("[server]\n", settings);
    let process = Process::serve(&world).await;
    let renewed = Pair::new();
    for pair in [&pair, &renewed] {
        write(&world, pair);
        let page = wait_for(TIMEOUT, "the page with this certificate", async || {
            let mut stream = TcpStream::connect(process.public).await.unwrap();
            stream.write_all(b"PROXY TCP4 198.51.100.7 192.0.2.1 50001 443\r\n").await.unwrap();
            let stream = handshake(stream, pair, HTTP1, &[&TLS12, &TLS13]).await.ok()?;
            Some(get(stream, "/login").await)
        });
        let page = page.await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        connect(process.public, pair, HTTP1, &[&TLS13]).await.expect_err("without a PROXY header");
    }
}

#[tokio::test]
async fn a_replaced_certificate_is_served_without_a_restart() {
    let (first, second) = (Pair::new(), Pair::new());
    let gateway = Gateway::start(&first).await;
    let mut before = gateway.http2(&first).await;
    let replaced = Instant::now();
    write(&gateway.world, &second);
    gateway.serves(&second).await;
    assert!(replaced.elapsed() < Duration::from_secs(5), "{:?}", replaced.elapsed());
    assert!(gateway.connect(&first, HTTP1).await.is_err());
    let page = fetch(&mut before, Request::get("https://localhost:8080/help").body(()).unwrap()).await;
    assert_eq!(page.status(), StatusCode::OK, "connections go on");

    // A bad one is not served, whether it is found by chance or by a reload.
    let [certificate, key] = files(&gateway.world);
    std::fs::write(&certificate, &first.certificate).unwrap();
    let problem = gateway.problem("the certificate was not replaced; the previous one stays in use").await;
    for part in [certificate.to_str().unwrap(), key.to_str().unwrap(), "does not match", "name the key"] {
        assert!(problem.contains(part), "{part} in {problem}");
    }
    gateway.serves(&second).await;
    gateway.process.signal(Signal::HUP);
    let is_rejection =
        |line: &Value| line["fields"]["message"] == "the settings were not reloaded; the previous ones stay in effect";
    let line = gateway.process.line("the rejected reload", is_rejection).await;
    assert!(line["fields"]["reason"].as_str().unwrap().contains("does not match"), "{line}");
    gateway.serves(&second).await;

    std::fs::write(&key, &first.key).unwrap();
    gateway.serves(&first).await;
}

#[tokio::test]
async fn a_reload_serves_other_files() {
    let (first, second) = (Pair::new(), Pair::new());
    let mut gateway = Gateway::start(&first).await;
    let other = gateway.world.folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("public.pem"), &second.certificate).unwrap();
    std::fs::write(other.join("public.key"), &second.key).unwrap();
    let folder = gateway.world.folder.path().to_str().unwrap().to_owned();
    gateway.world.settings =
        gateway.world.settings.replace(&format!("{folder}/public."), &format!("{folder}/other/public."));
    gateway.world.settings_file();
    let management = gateway.process.management.to_string();
    let (code, output, error) = gateway.world.command(&["reload", "--management", &management]).await;
    assert_eq!(code, 0, "{output}{error}");
    assert!(output.contains("Sections that changed: server") && !output.contains("Restart"), "{output}");
    assert!(gateway.connect(&first, HTTP1).await.is_err());
    gateway.connect(&second, HTTP1).await.unwrap();
}

#[tokio::test]
async fn certificates_that_cannot_be_served_are_named_at_the_start() {
    let world = world().await;
    let [certificate, key] = files(&world);
    let (pair, other) = (Pair::new(), Pair::new());
    let cases: [(Option<&str>, &str, &str, [&str; 2]); 5] = [
        (None, &pair.key, "server.tls_certificate: ", ["public.pem cannot be read", "may read"]),
        (Some(&pair.key), &pair.key, "server.tls_certificate: ", ["contains no certificate", "BEGIN CERTIFICATE"]),
        (Some(&pair.certificate), "", "server.tls_key: ", ["public.key contains no private key", "BEGIN PRIVATE KEY"]),
        (Some(&pair.certificate), &other.key, "server.tls_key: ", ["does not match", "name the key"]),
        (
            Some("-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"),
            &pair.key,
            "server.tls_certificate: ",
            ["cannot be used", "have a new one issued"],
        ),
    ];
    for (first, second, setting, parts) in cases {
        let _ = std::fs::remove_file(&certificate);
        if let Some(text) = first {
            std::fs::write(&certificate, text).unwrap();
        }
        std::fs::write(&key, second).unwrap();
        let (code, _, error) = world.command(&["serve"]).await;
        assert_eq!(code, 1, "{error}");
        for part in [&[setting], &parts[..]].concat() {
            assert!(error.contains(part), "{part} in {error}");
        }
        let (code, output, _) = world.command(&["check"]).await;
        assert!(code == 1 && output.contains(&format!("fail  certificate: {setting}")), "{output}");
    }
    // Commands that serve no connections work.
    let (code, _, error) = world.command(&["keys", "list"]).await;
    assert_eq!(code, 0, "{error}");
}

#[tokio::test]
async fn an_expired_certificate_is_served_with_a_warning() {
    let world = world().await;
    write(&world, &Pair::until(2020));
    let process = Process::serve(&world).await;
    let is_warning = |line: &Value| {
        let message = line["fields"]["message"].as_str().unwrap_or_default();
        line["level"] == "WARN" && message.contains("public.pem expired at 2020-01-01T00:00:00Z")
    };
    let line = process.line("the warning", is_warning).await;
    assert!(line["fields"]["message"].as_str().unwrap().contains("Replace the file"), "{line}");
    let (_, output, _) = world.command(&["check"]).await;
    assert!(output.contains("warn  certificate: ") && output.contains("expired at 2020"), "{output}");
}

/// Frames of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Opens streams and resets each of them at once (CVE-2023-44487). Returns the error code of the server's last GOAWAY.
async fn rapid_reset(mut stream: TlsStream<TcpStream>, streams: u32) -> Option<u32> {
    const SETTINGS: u8 = 4;
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    // GET, https and / of the static table, and a literal :authority (RFC 7541, appendix A).
    let head = [&[0x82, 0x87, 0x84, 0x41, 14][..], b"localhost:8080"].concat();
    for id in (0..streams).map(|at| 2 * at + 1) {
        sent.extend(frame(1, 0x5, id, &head));
        sent.extend(frame(3, 0, id, &8_u32.to_be_bytes()));
    }
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    let write = async {
        // The server may close before it has read everything.
        let _ = writer.write_all(&sent).await;
        let _ = writer.flush().await;
    };
    let read = async {
        let mut goaway = None;
        let mut head = [0; 9];
        while reader.read_exact(&mut head).await.is_ok() {
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            if reader.read_exact(&mut payload).await.is_err() {
                break;
            }
            if head[3] == 7 {
                goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        goaway
    };
    tokio::time::timeout(TIMEOUT, futures_util::future::join(write, read)).await.unwrap().1
}

#[tokio::test]
async fn rapid_resets_end_the_connection_and_keep_no_memory() {
    const ENHANCE_YOUR_CALM: u32 = 0xb;
    let pair = Pair::new();
    let gateway = Gateway::start(&pair).await;
    let attack = async |times: usize| {
        for _ in 0..times {
            let stream = gateway.connect(&pair, HTTP2).await.unwrap();
            assert_eq!(rapid_reset(stream, 10_000).await, Some(ENHANCE_YOUR_CALM));
        }
    };
    attack(10).await;
    let before = gateway.process.resident_bytes();
    attack(50).await;
    let after = gateway.process.resident_bytes();
    assert!(after < before + 16 * 1024 * 1024, "{before} {after}");
    let mut client = gateway.http2(&pair).await;
    let page = fetch(&mut client, Request::get("https://localhost:8080/login").body(()).unwrap()).await;
    assert_eq!(page.status(), StatusCode::OK);
}
