//! Connections through proxies: the PROXY protocol, and Unix sockets.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proxy_header::{ProxiedAddress, ProxyHeader, Tlv};
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::harness::{Process, World, external_get};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Two lookups a minute for each client, and more settings of the server.
async fn world(server: &str) -> World {
    let mut world = World::with_system_clock().await;
    for (from, to) in [
        ("[server]\n", format!("[server]\n{server}\n")),
        ("exempt_loopback = true", "exempt_loopback = false\nlookups_per_address_per_minute = 2".to_owned()),
    ] {
        assert!(world.settings.contains(from), "{from} in {}", world.settings);
        world.settings = world.settings.replace(from, &to);
    }
    world
}

fn proxied(source: &str) -> ProxyHeader<'static> {
    let [source, destination] = [source, "192.0.2.1:443"].map(|address| address.parse().unwrap());
    ProxyHeader::with_address(ProxiedAddress::stream(source, destination))
}

fn proxied_v6(source: &str) -> ProxyHeader<'static> {
    ProxyHeader::with_address(ProxiedAddress::stream(source.parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()))
}

fn version_2(header: &ProxyHeader<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.encode_v2(&mut bytes).unwrap();
    bytes
}

/// With an extension of this length, as AWS (0xEA) and others add them.
fn extended(source: &str, length: usize) -> Vec<u8> {
    let mut header = proxied(source);
    header.append_tlv(Tlv::Custom(0xEA, vec![b'x'; length].into()));
    version_2(&header)
}

/// How many connections were refused for this reason.
async fn refused(process: &Process, reason: &str) -> u32 {
    let (_, metrics) = external_get(&format!("http://{}/metrics", process.management)).await;
    let series = format!("signpost_connections_refused_total{{reason=\"{reason}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value.unwrap_or_else(|| panic!("{series} in {metrics}")).parse().unwrap()
}

/// Sends a lookup after `preface`, with more headers. Returns the response; without one, an empty text.
async fn look_up(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), preface: &[u8], headers: &str) -> String {
    let form = "username=one-legacy";
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: localhost:8080\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n{headers}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let exchange = async {
        let mut answer = Vec::new();
        // A connection that is refused may be reset.
        let _ = stream.write_all(&[preface, request.as_bytes()].concat()).await;
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap()
}

async fn status_by_tcp(process: &Process, preface: &[u8], headers: &str) -> String {
    let mut stream = TcpStream::connect(process.public).await.unwrap();
    status(&look_up(&mut stream, preface, headers).await)
}

async fn status_by_socket(path: &Path, preface: &[u8], headers: &str) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    status(&look_up(&mut stream, preface, headers).await)
}

fn status(answer: &str) -> String {
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_proxy_header_names_the_client() {
    let world = world("proxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.1\"]").await;
    let process = Process::serve(&world).await;
    let version_1 = b"PROXY TCP4 198.51.100.7 192.0.2.1 50001 443\r\n";
    let same = version_2(&proxied("198.51.100.7:50002"));
    // What the client writes itself is not believed.
    let forged = "X-Forwarded-For: 198.51.100.99\r\n";
    let mut statuses = Vec::new();
    for (preface, headers) in [(&version_1[..], ""), (&same, forged), (&same, ""), (&same, forged)] {
        statuses.push(status_by_tcp(&process, preface, headers).await);
    }
    assert_eq!(statuses, ["303", "303", "429", "429"]);
    let same_v6 = version_2(&proxied_v6("[2001:db8::7]:50001"));
    for (expected, preface) in [
        ("303", version_2(&proxied("198.51.100.8:50001"))),
        ("303", extended("198.51.100.9:50001", 3000)),
        ("303", b"PROXY TCP6 2001:db8::7 2001:db8::1 50001 443\r\n".to_vec()),
        ("303", same_v6.clone()),
        ("429", same_v6),
        // The proxy's own connections, such as health checks.
        ("303", version_2(&ProxyHeader::with_local())),
        ("303", b"PROXY UNKNOWN\r\n".to_vec()),
    ] {
        assert_eq!(status_by_tcp(&process, &preface, "").await, expected, "{}", preface.escape_ascii());
    }
    // A proxy in front of this one reports its clients in the header.
    let mut statuses = Vec::new();
    for client in ["198.51.100.20", "198.51.100.20", "198.51.100.20", "198.51.100.21"] {
        let preface = version_2(&proxied("10.0.0.1:50001"));
        statuses.push(status_by_tcp(&process, &preface, &format!("X-Forwarded-For: {client}\r\n")).await);
    }
    assert_eq!(statuses, ["303", "303", "429", "303"]);
    assert_eq!(refused(&process, "proxy_header").await, 0);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn a_connection_without_a_valid_proxy_header_is_closed() {
    let world = world("proxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]").await;
    let process = Process::serve(&world).await;
    let header = version_2(&proxied("198.51.100.7:50002"));
    let datagram = ["198.51.100.7:50002", "192.0.2.1:443"].map(|address| address.parse().unwrap());
    let datagram = ProxyHeader::with_address(ProxiedAddress::datagram(datagram[0], datagram[1]));
    let mut version_3 = header.clone();
    version_3[12] = 0x31;
    let mut without_addresses = header[..16].to_vec();
    without_addresses[15] = 0;
    let invalid = [
        b"".to_vec(),
        b"PROXY TCP4 nonsense\r\n".to_vec(),
        b"PROXY TCP4 198.51.100.7 192.0.2.1 50001 99999\r\n".to_vec(),
        format!("PROXY TCP4 {}\r\n", "1".repeat(200)).into_bytes(),
        b"\r\n\r\n\0\r\nNOPE\n\x21\x11\0\x0c".to_vec(),
        version_2(&datagram),
        version_3,
        without_addresses,
        extended("198.51.100.7:50002", 5000),
        extended("198.51.100.7:50002", 60_000),
    ];
    for preface in &invalid {
        assert_eq!(status_by_tcp(&process, preface, "").await, "", "{}", preface.escape_ascii());
    }
    let mut count = u32::try_from(invalid.len()).unwrap();
    assert_eq!(refused(&process, "proxy_header").await, count);

    let mut cut = TcpStream::connect(process.public).await.unwrap();
    cut.write_all(&header[..20]).await.unwrap();
    cut.shutdown().await.unwrap();
    assert_eq!(rest(&mut cut).await, b"");
    count += 1;
    assert_eq!(refused(&process, "proxy_header").await, count);

    // Headers that never end have less time than a handshake.
    let began = Instant::now();
    let mut slow = Vec::new();
    for beginning in [&header[..20], &header[..3], b"PROXY TCP4 198.51.100.7 192"] {
        let mut stream = TcpStream::connect(process.public).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(status_by_tcp(&process, &header, "").await, "303", "they block no one");
    for stream in &mut slow {
        assert_eq!(rest(stream).await, b"");
    }
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(refused(&process, "proxy_header").await, count + 3);

    // A check whether the port is open is no news.
    drop(TcpStream::connect(process.public).await.unwrap());
    assert_eq!(status_by_tcp(&process, &header, "").await, "303");
    assert_eq!(refused(&process, "proxy_header").await, count + 3);
    let message = "connections are refused: with server.proxy_protocol, each begins with a PROXY header";
    let line = process.line(message, |line| line["fields"]["message"] == message).await;
    assert_eq!((&line["fields"]["peer"], process.count_lines(message)), (&"127.0.0.1".into(), 1), "{line}");
    assert_eq!(process.stop().await, Some(0));
}

/// What arrives until the connection ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // The end may also be a reset.
    let _ = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_proxy_header_of_another_peer_is_refused() {
    let header = version_2(&proxied("198.51.100.7:50002"));
    let mut world = world("proxy_protocol = true\ntrusted_proxies = [\"192.0.2.0/24\"]").await;
    let process = Process::serve(&world).await;
    for preface in [&header[..], b""] {
        assert_eq!(status_by_tcp(&process, preface, "").await, "", "{preface:?}");
    }
    let message = "connections are refused: with server.proxy_protocol, only server.trusted_proxies may connect";
    let line = process.line(message, |line| line["fields"]["message"] == message).await;
    assert_eq!((&line["fields"]["peer"], process.count_lines(message)), (&"127.0.0.1".into(), 1), "{line}");
    assert_eq!(refused(&process, "untrusted_peer").await, 2);

    // A reload applies to new connections.
    world.settings = world.settings.replace("192.0.2.0/24", "127.0.0.0/8");
    world.settings_file();
    process.signal(Signal::HUP);
    let message = "the settings were reloaded";
    process.line(message, |line| line["fields"]["message"] == message).await;
    assert_eq!(status_by_tcp(&process, &header, "").await, "303");

    world.settings = world.settings.replace("proxy_protocol = true\n", "");
    let process = Process::serve(&world).await;
    assert_eq!(status_by_tcp(&process, &header, "").await, "400", "it is no HTTP");
    assert_eq!(status_by_tcp(&process, b"", "").await, "303");
}

/// A process that listens on this socket.
fn on_socket(world: &World, path: &Path) -> Command {
    world.settings_file();
    let mut command = Process::command(world);
    command.env("SIGNPOST__SERVER__LISTEN", format!("unix:{}", path.display()));
    command
}

/// Why a process that listens on this socket does not start.
async fn problem_on_socket(world: &World, path: &Path) -> String {
    let mut command = on_socket(world, path);
    command.stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

#[tokio::test]
async fn a_unix_socket_serves_with_clients_from_the_header() {
    let world = world("").await;
    let path = world.folder.path().join("http.sock");
    let process = Process::start(on_socket(&world, &path)).await;
    let mut statuses = Vec::new();
    for client in ["198.51.100.7", "198.51.100.7", "198.51.100.7", "198.51.100.8"] {
        statuses.push(status_by_socket(&path, b"", &format!("X-Forwarded-For: {client}\r\n")).await);
    }
    assert_eq!(statuses, ["303", "303", "429", "303"]);
    for _ in 0..4 {
        assert_eq!(status_by_socket(&path, b"", "").await, "303", "connections without the header share no limit");
    }
    let message =
        "the proxy at the Unix socket does not send server.client_address_header; its requests count per connection";
    process.line(message, |line| line["fields"]["message"] == message).await;
    assert_eq!(process.count_lines(message), 1);
    assert_eq!(process.stop().await, Some(0));

    // The PROXY protocol needs no trusted address there.
    let mut command = on_socket(&world, &path);
    command.env("SIGNPOST__SERVER__PROXY_PROTOCOL", "true");
    let process = Process::start(command).await;
    let header = version_2(&proxied("198.51.100.7:50002"));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(status_by_socket(&path, &header, "").await);
    }
    assert_eq!(statuses, ["303", "303", "429"]);
    assert_eq!(status_by_socket(&path, b"", "").await, "", "without a PROXY header");
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn a_unix_socket_lasts_as_long_as_its_process() {
    let mut world = world("unix_socket_mode = \"0600\"").await;
    let path = world.folder.path().join("http.sock");
    let killed = Process::start(on_socket(&world, &path)).await;
    drop(killed);
    let left = std::fs::symlink_metadata(&path).expect("SIGKILL leaves the file").ino();

    let process = Process::start(on_socket(&world, &path)).await;
    let file = std::fs::symlink_metadata(&path).unwrap();
    assert!(file.file_type().is_socket() && file.ino() != left);
    assert_eq!(file.permissions().mode() & 0o7777, 0o600);
    assert_eq!(status_by_socket(&path, b"", "").await, "303");
    let serving = process.line("serving", |line| line["fields"]["message"] == "serving").await;
    assert_eq!(serving["fields"]["listen"], format!("unix:{}", path.display()));

    let error = problem_on_socket(&world, &path).await;
    assert!(
        error.contains("server.listen") && error.contains("another process serves it; stop that process"),
        "{error}"
    );
    assert_eq!(status_by_socket(&path, b"", "").await, "303", "the first one goes on");

    world.settings = world.settings.replace("\"0600\"", "\"0660\"");
    world.settings_file();
    process.signal(Signal::HUP);
    let message = "the settings were reloaded";
    let line = process.line(message, |line| line["fields"]["message"] == message).await;
    assert_eq!(line["fields"]["needs_restart"], "server.unix_socket_mode", "{line}");
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().ino(), file.ino());
    assert_eq!(status_by_socket(&path, b"", "").await, "303", "a reload keeps the socket");

    assert_eq!(process.stop().await, Some(0));
    assert!(!path.exists());
    let process = Process::start(on_socket(&world, &path)).await;
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);

    // Another process has the name now.
    std::fs::remove_file(&path).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(process.stop().await, Some(0));
    assert!(path.exists());
}

#[tokio::test]
async fn a_place_without_room_for_a_socket_is_named() {
    let world = world("").await;
    let path = world.folder.path().join("notes.txt");
    std::fs::write(&path, "notes").unwrap();
    let error = problem_on_socket(&world, &path).await;
    assert!(error.contains("server.listen") && error.contains("another file is there; remove it"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");

    let folder = world.folder.path().join("missing");
    let error = problem_on_socket(&world, &folder.join("http.sock")).await;
    let expected = format!("the folder {} does not exist; create it", folder.display());
    assert!(error.contains("server.listen") && error.contains(&expected), "{error}");
}

#[tokio::test]
async fn a_unix_socket_of_the_service_manager_serves() {
    let world = world("").await;
    world.settings_file();
    let path = world.folder.path().join("http.sock");
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve"])
        .arg(env!("CARGO_BIN_EXE_signpost"))
        .env("LISTEN_FDNAMES", "public")
        .stdin(Stdio::from(OwnedFd::from(socket)));
    Process::configure(&mut command, &world);
    let process = Process::start(command).await;
    assert_eq!(status_by_socket(&path, b"", "X-Forwarded-For: 198.51.100.7\r\n").await, "303");
    assert_eq!(external_get(&format!("http://{}/readyz", process.management)).await.0, 200);
    assert_eq!(process.stop().await, Some(0));
    assert!(path.exists(), "the file belongs to the service manager");
}
