//! Measures what a relying party costs: `driver --rp HOST:PORT --pid PID --start PATH --operation NAME [OPTIONS]`.
//!
//! The stub provider runs in this process and the relying party in its own. Each run prints one line of JSON with the CPU time
//! of the relying party's process tree, from the operating system's accounting.
//!
//! | option | meaning |
//! | --- | --- |
//! | `--operation` | `start`, `sign-in`, `unknown`, `legacy`, `notice`, `page`, `verify`; repeatable, by commas |
//! | `--count`, `--connections` | operations, and how many at once |
//! | `--provider` | port of the stub provider |
//! | `--users` | users at the provider, and names of each kind in the directory |
//! | `--portal-key` | API key that redeems handoffs |
//! | `--page`, `--verify` | paths of these operations |

mod http;
mod provider;
mod requests;
mod usage;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Client, Cookies};
use crate::provider::Provider;

/// Time in which work that an operation left to the background is still counted.
const SETTLE: Duration = Duration::from_millis(700);
/// How long the relying party may take until its first sign-in succeeds.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);

struct Options(Vec<String>);

impl Options {
    fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|argument| argument == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn required(&self, name: &str) -> Result<&str, String> {
        self.text(name).ok_or_else(|| format!("{name} is missing"))
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        self.text(name).map_or(Ok(default), |text| text.parse().map_err(|_| format!("{name} is not a number: {text}")))
    }
}

fn main() -> ExitCode {
    match run(&Options(std::env::args().skip(1).collect())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let (host, path) = (options.required("--rp")?, options.required("--start")?);
    let pid = options.required("--pid")?.parse().map_err(|_| "--pid is not a process id".to_owned())?;
    let (count, connections) = (options.number("--count", 1000)?, options.number("--connections", 1)?);
    let users = options.number("--users", 1)?;
    let provider = Provider::start(options.number("--provider", 9800)?, users)?;
    let portal_key = options.text("--portal-key");
    let cookies = wait_until_ready(host, || requests::sign_in(&mut Client::new(host), path, &provider, portal_key))?;
    for operation in options.required("--operation")?.split(',') {
        let once = |client: &mut Client, number: usize| -> Result<(), String> {
            let name = |prefix: &str| format!("{prefix}{}", scattered(number as u64, users) + 1);
            match operation {
                "start" => requests::start(client, path, &provider.issuer).map(drop),
                "sign-in" => requests::sign_in(client, path, &provider, portal_key).map(drop),
                "unknown" => requests::look_up(client, &name("unknown")),
                "legacy" => requests::look_up(client, &name("legacy")),
                "notice" => requests::look_up(client, &name("user")),
                "page" => requests::page(client, options.required("--page")?, &Cookies::new()),
                "verify" => requests::page(client, options.required("--verify")?, &cookies),
                _ => Err(format!("unknown operation {operation}")),
            }
        };
        println!("{}", measure(host, pid, operation, count, connections, &once)?);
    }
    Ok(())
}

/// Names in no order, the same in each run: consecutive names would be neighbours in the index.
fn scattered(number: u64, users: u64) -> u64 {
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % users
}

fn wait_until_ready(host: &str, sign_in: impl Fn() -> Result<Cookies, String>) -> Result<Cookies, String> {
    let started = Instant::now();
    loop {
        match sign_in() {
            Err(error) if started.elapsed() > STARTUP_TIMEOUT => {
                return Err(format!("{host} completes no sign-in: {error}"));
            }
            Err(_) => thread::sleep(Duration::from_millis(250)),
            ready => return ready,
        }
    }
}

type Operation<'a> = dyn Fn(&mut Client, usize) -> Result<(), String> + Sync + 'a;

/// Runs an operation `count` times. An operation that fails ends the measurement.
fn measure(
    host: &str,
    pid: u32,
    name: &str,
    count: usize,
    connections: usize,
    once: &Operation<'_>,
) -> Result<Value, String> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let (mut client, mut latencies) = (Client::new(host), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(latencies);
            }
            let started = Instant::now();
            once(&mut client, number)?;
            latencies.push(started.elapsed().as_secs_f64() * 1e3);
        }
    };
    let (before, started) = (usage::cpu_ms(pid), Instant::now());
    let workers: Vec<Result<Vec<f64>, String>> = thread::scope(|scope| {
        let handles: Vec<_> = (0..connections).map(|_| scope.spawn(worker)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err("a worker panicked".to_owned())))
            .collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    thread::sleep(SETTLE);
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.map_err(|error| format!("{name}: {error}"))?);
    }
    latencies.sort_by(f64::total_cmp);
    let percentile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
    Ok(json!({
        "operation": name, "connections": connections, "count": count,
        "cpu_ms": (usage::cpu_ms(pid) - before) / count as f64, "per_second": count as f64 / seconds,
        "p50_ms": percentile(50), "p99_ms": percentile(99), "memory_mib": usage::memory_mib(pid),
    }))
}
