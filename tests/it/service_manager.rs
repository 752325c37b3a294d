//! The service manager's protocol: notifications, the watchdog, and sockets that it passes. The test takes its place.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixDatagram};

use crate::harness::{Process, World, external_get};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The socket that notifications go to.
struct Notifications(UnixDatagram);

impl Notifications {
    /// Waits for the next notification with this line. Others before it are only those of the watchdog.
    async fn next(&self, line: &str) -> String {
        let received = async {
            loop {
                let mut buffer = [0; 4096];
                let length = self.0.recv(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if text.lines().any(|own| own == line) {
                    return text;
                }
                assert_eq!(text, "WATCHDOG=1\n", "while waiting for {line}");
            }
        };
        tokio::time::timeout(TIMEOUT, received).await.unwrap_or_else(|_| panic!("no {line}"))
    }
}

fn rewrite(world: &mut World, from: &str, to: &str) {
    assert!(world.settings.contains(from), "{from} in {}", world.settings);
    world.settings = world.settings.replace(from, to);
    world.settings_file();
}

#[tokio::test]
async fn the_service_manager_is_notified() {
    let mut world = World::with_system_clock().await;
    world.settings.push_str("[help]\ncompany = \"Example Pay\"\n");
    world.settings_file();
    let socket = world.folder.path().join("notify");
    let notifications = Notifications(UnixDatagram::bind(&socket).unwrap());
    let mut command = Process::command(&world);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000");
    let process = Process::start(command).await;
    assert_eq!(notifications.next("READY=1").await, "READY=1\nSTATUS=serving\n");
    for _ in 0..3 {
        notifications.next("WATCHDOG=1").await;
    }

    let monotonic = |text: &str| -> u64 {
        let value = text.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        value.unwrap_or_else(|| panic!("no time in {text}")).parse().unwrap()
    };
    rewrite(&mut world, "company = \"Example Pay\"", "company = \"Second Pay\"");
    process.signal(Signal::HUP);
    let first = monotonic(&notifications.next("RELOADING=1").await);
    assert_eq!(notifications.next("READY=1").await, "READY=1\nSTATUS=serving\n");

    rewrite(&mut world, "company = \"Second Pay\"", "phone = \"call us\"");
    process.signal(Signal::HUP);
    let second = monotonic(&notifications.next("RELOADING=1").await);
    assert!(0 < first && first < second, "{first} {second}");
    let status = notifications.next("READY=1").await;
    assert!(status.contains("STATUS=serving with the previous settings") && status.contains("help.phone"), "{status}");
    assert_eq!(status.lines().count(), 2, "a status is one line: {status}");

    rewrite(&mut world, "phone = \"call us\"", "");
    rewrite(&mut world, "[server]\n", "[server]\nmax_connections = 7\n");
    process.signal(Signal::HUP);
    notifications.next("RELOADING=1").await;
    let status = notifications.next("READY=1").await;
    assert!(status.contains("a restart would change server.max_connections"), "{status}");

    process.signal(Signal::TERM);
    notifications.next("STOPPING=1").await;
    assert_eq!(process.stop().await, Some(0));
}

/// Starts the program with two sockets, as systemd does: from descriptor 3 on, with their names in the environment.
fn activated(world: &World, names: &str, sockets: [std::net::TcpListener; 2]) -> Command {
    let [first, second] = sockets.map(|socket| Stdio::from(OwnedFd::from(socket)));
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 3<&0 4<&1 0</dev/null 1>/dev/null; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" serve"])
        .arg(env!("CARGO_BIN_EXE_signpost"))
        .env("LISTEN_FDNAMES", names)
        .stdin(first)
        .stdout(second);
    Process::configure(&mut command, world);
    command
}

fn listener() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

#[tokio::test]
async fn sockets_of_the_service_manager_are_used_by_name() {
    let world = World::with_system_clock().await;
    world.settings_file();
    let sockets = [listener(), listener()];
    let [management, public] = [0, 1].map(|at: usize| sockets[at].local_addr().unwrap());
    let mut early = TcpStream::connect(public).await.unwrap();
    early.write_all(b"GET /login HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n").await.unwrap();
    let process = Process::start(activated(&world, "management:public", sockets)).await;
    assert_eq!((process.management, process.public), (management, public));
    let mut page = String::new();
    early.read_to_string(&mut page).await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "a connection waits for the process: {page}");
    assert_eq!(external_get(&format!("http://{management}/readyz")).await.0, 200);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn sockets_with_other_names_are_refused() {
    let world = World::with_system_clock().await;
    world.settings_file();
    for (names, problem) in [
        ("public:admin", "\"admin\"; expected public, console or management. Set FileDescriptorName="),
        ("public:public", "two sockets with the name public"),
    ] {
        let mut command = activated(&world, names, [listener(), listener()]);
        let output =
            tokio::task::spawn_blocking(move || command.stderr(Stdio::piped()).output().unwrap()).await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(problem), "{problem} in {error}");
    }
}
