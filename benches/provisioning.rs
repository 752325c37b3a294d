//! Speed of enablement: `cargo bench --bench provisioning`.
//!
//! The SecureAuth stand-in runs in this process and `signpost` in its own, so that the benchmark can measure its memory. Each
//! run prints one line of JSON, which `scripts/prove` adds to its report.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark panics on errors and prints results")]

use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use secureauth_standin::world::{Addresses, PASSWORD, Ports, World, to_toml};
use secureauth_standin::{Deps, SecureAuthStandIn};
use serde_json::json;
use signpost_core::{Clock, Random};

const BILLER: &str = "pinehill-gas";
/// The latency in the vendor's published ceiling: 8 concurrent requests of 100 users, 0.96 s each.
const VENDOR_LATENCY: Duration = Duration::from_millis(960);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() {
    for (users, latency) in [(10_000, Duration::ZERO), (100_000, Duration::ZERO), (100_000, VENDOR_LATENCY)] {
        println!("{}", enable_biller(users, latency).await);
    }
}

/// Enables a biller with this number of users. `latency` delays every request at SecureAuth.
async fn enable_biller(users: usize, latency: Duration) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (world, random) = (world(&base), Random::system());
    let hash = secureauth_standin::hash_password(PASSWORD, &random);
    let deps = Deps::new(Clock::System, random).unwrap();
    let issuers = secureauth_standin::secureauth_app(world.secureauth(&hash), base, deps);
    tokio::spawn(secureauth_standin::serve(listener, issuers.router(), std::future::pending()));
    write_files(folder.path(), &world, users);
    run(folder.path(), &["migrate"]);
    run(folder.path(), &["import", "billers", "billers.json"]);
    run(folder.path(), &["import", "users", "users.csv", "--biller", BILLER]);

    issuers.faults().set_latency(latency);
    let started = Instant::now();
    let mut child = signpost(folder.path(), &["enable", BILLER, "--watch"]).spawn().unwrap();
    let (mut timing, mut memory) = (ImportTiming::default(), 0.0_f64);
    let status = loop {
        timing.sample(&issuers);
        memory = memory.max(resident(&child).unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        tokio::time::sleep(SAMPLE_INTERVAL).await;
    };
    let total = started.elapsed().as_secs_f64();
    // The job itself has compared the numbers of users.
    assert!(status.success(), "the enablement failed");
    let seconds = timing.seconds();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = |seconds: f64| (users as f64 / seconds).round();
    json!({
        "users": users, "latency_ms": latency.as_millis(), "users_per_second": rate(seconds),
        "import_seconds": seconds, "total_seconds": total, "total_users_per_second": rate(total),
        "peak_concurrency": issuers.max_concurrent_api_calls(), "memory_mib": memory,
    })
}

/// When the first batch of users arrived and when the last was answered.
#[derive(Default)]
struct ImportTiming {
    first: Option<Instant>,
    last: Option<(usize, Instant)>,
}

impl ImportTiming {
    fn sample(&mut self, issuers: &SecureAuthStandIn) {
        let calls = issuers.api_calls();
        let batches = || calls.iter().filter(|call| call.method == "PUT" && call.path.ends_with("/configuration"));
        // The first request imports a single user.
        if self.first.is_none() && batches().count() > 1 {
            self.first = Some(Instant::now());
        }
        let answered = batches().filter(|call| call.status.is_some()).count();
        if self.last.is_none_or(|(before, _)| answered > before) {
            self.last = Some((answered, Instant::now()));
        }
    }

    fn seconds(&self) -> f64 {
        (self.last.unwrap().1 - self.first.unwrap() + SAMPLE_INTERVAL).as_secs_f64()
    }
}

/// The demo world with one biller and without users.
fn world(secureauth: &str) -> World {
    let mut world = World::new(Addresses { secureauth: secureauth.to_owned(), ..Ports { base: 8080 }.addresses() });
    world.billers.retain(|biller| biller.slug == BILLER);
    world.users.clear();
    world
}

fn write_files(folder: &Path, world: &World, users: usize) {
    let mut settings = world.settings("sqlite:signpost.db", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=");
    settings.as_object_mut().unwrap().remove("mail");
    std::fs::write(folder.join("signpost.toml"), to_toml(&settings)).unwrap();
    std::fs::write(folder.join("billers.json"), world.billers_file()).unwrap();
    let hash = secureauth_standin::hash_password(PASSWORD, &Random::system());
    let mut rows = String::from("username,email,first_name,last_name,password_hash\n");
    for n in 0..users {
        writeln!(rows, "user{n:07},user{n}@mail.example,Robin,Number {n},\"{hash}\"").unwrap();
    }
    std::fs::write(folder.join("users.csv"), rows).unwrap();
}

fn signpost(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
    command.current_dir(folder).args(arguments).args(["--config", "signpost.toml"]);
    command.stdout(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) {
    let status = signpost(folder, arguments).status().unwrap();
    assert!(status.success(), "signpost {arguments:?} failed");
}

/// Resident memory of a process, in MiB (Linux: proc(5)).
fn resident(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}
