//! The speed of enablement: `cargo bench --bench provisioning`.
//!
//! SecureAuth's stand-in runs in this process and Signpost in another one, so that its memory can be measured. Both share the
//! machine. Each run writes one line of JSON to standard output, which `scripts/prove` puts into its report.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark: it fails loudly, and prints")]

use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use secureauth_standin::{ApiClients, Deps, SecureAuth, SecureAuthStandIn, ServiceClient};
use serde_json::json;
use signpost_core::{Clock, Random};

const BILLER: &str = "pinehill-gas";
/// SecureAuth's published maximum is 8 concurrent requests of 100 users, 0.96 s each.
const VENDOR_LATENCY: Duration = Duration::from_millis(960);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() {
    for (users, latency) in [(10_000, Duration::ZERO), (100_000, Duration::ZERO), (100_000, VENDOR_LATENCY)] {
        println!("{}", enable_biller(users, latency).await);
    }
}

/// Enables a biller with `users` users. `latency` is added to every request to SecureAuth.
async fn enable_biller(users: usize, latency: Duration) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let issuers = stand_in(&base);
    tokio::spawn(secureauth_standin::serve(listener, issuers.router(), std::future::pending()));
    write_files(folder.path(), &base, users);
    run(folder.path(), &["migrate"]);
    run(folder.path(), &["import", "billers", "billers.toml"]);
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
    assert!(status.success(), "the biller was not enabled");
    let seconds = timing.seconds();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = |seconds: f64| (users as f64 / seconds).round();
    json!({
        "users": users, "latency_ms": latency.as_millis(), "users_per_second": rate(seconds),
        "import_seconds": seconds, "total_seconds": total, "total_users_per_second": rate(total),
        "peak_concurrency": issuers.max_concurrent_api_calls(), "memory_mib": memory,
    })
}

/// When the first batch of users was requested, and when the last response arrived.
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

fn stand_in(base: &str) -> SecureAuthStandIn {
    let random = Random::system();
    let client = |id: &str| Some(ServiceClient { id: id.to_owned(), secret: format!("secret of {id}") });
    let world = SecureAuth {
        tenant: "test".to_owned(),
        password_hash: secureauth_standin::hash_password("correct-horse", &random),
        organizations: Vec::new(),
        api: Some(ApiClients { system: client("system"), admin: client("admin") }),
    };
    secureauth_standin::secureauth_app(world, base.to_owned(), Deps::new(Clock::System, random).unwrap())
}

fn write_files(folder: &Path, base: &str, users: usize) {
    let settings = format!(
        r#"
        [server]
        public_url = "http://localhost:8080"
        [database]
        url = "sqlite:signpost.db"
        [secrets]
        keys = ["q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="]
        [legacy]
        login_url = "http://127.0.0.1:9992/login"
        reset_url = "http://127.0.0.1:9992/reset"
        [portal]
        handoff_url = "http://127.0.0.1:9993/handoff"
        [oidc]
        allow_loopback_issuers = true
        [secureauth]
        base_url = "{base}"
        tenant = "test"
        system_client_id = "system"
        system_client_secret = "secret of system"
        admin_client_id = "admin"
        admin_client_secret = "secret of admin"
        "#
    );
    std::fs::write(folder.join("signpost.toml"), settings).unwrap();
    let biller = format!("[[billers]]\nslug = \"{BILLER}\"\nname = \"Pinehill Gas\"\nstate = \"legacy\"\n");
    std::fs::write(folder.join("billers.toml"), biller).unwrap();
    let hash = secureauth_standin::hash_password("correct-horse", &Random::system());
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
