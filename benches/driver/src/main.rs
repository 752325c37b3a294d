//! Measures what relying parties cost: `driver SETTINGS [--rounds N] [--count N] [--connections N,N] [--operations NAME,NAME]
//! [--json FILE] [--markdown FILE]`.
//!
//! The stub provider runs in this process and each relying party in its own. Every round measures each operation at each relying
//! party, in an order of its own, so that whatever else the machine does meets all of them. Costs are CPU time of the relying
//! party's process tree, from the operating system's accounting.
//!
//! Each measurement is printed as one line of JSON. `--json` writes the medians, and `--markdown` writes them as tables between
//! the markers of a document that exists.

mod http;
mod provider;
mod report;
mod requests;
mod usage;

use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::http::{Client, Cookies};
use crate::provider::Provider;

/// Time in which work that an operation left to the background is still counted.
const SETTLE: Duration = Duration::from_millis(700);
/// How long a relying party may take until its first sign-in succeeds.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);
/// A sign-in costs about this many times as much as any other operation, which is repeated as often to be measured as well.
const SIGN_IN_WEIGHT: usize = 5;

/// What is measured, written by `scripts/bench`.
#[derive(Deserialize)]
struct Settings {
    /// Port of the stub provider.
    provider: u16,
    /// Users at the provider, and names of each kind in the directory.
    users: u64,
    parties: Vec<Party>,
}

/// A relying party. An operation whose field is missing is not measured there.
#[derive(Deserialize)]
struct Party {
    name: String,
    version: String,
    /// Host and port.
    host: String,
    pid: u32,
    /// Path at which a sign-in starts.
    start: String,
    /// API key that redeems handoffs at the end of a sign-in.
    portal_key: Option<String>,
    /// Path of the page that asks for a username, and of the form's answer.
    login: Option<String>,
    /// Path at which a reverse proxy asks for a live session.
    verify: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Operation {
    Start,
    SignIn,
    Page,
    Unknown,
    Legacy,
    Notice,
    Verify,
}

impl Operation {
    const ALL: [Self; 7] =
        [Self::Start, Self::SignIn, Self::Page, Self::Unknown, Self::Legacy, Self::Notice, Self::Verify];

    fn is_at(self, party: &Party) -> bool {
        match self {
            Self::Start | Self::SignIn => true,
            Self::Page | Self::Unknown | Self::Legacy | Self::Notice => party.login.is_some(),
            Self::Verify => party.verify.is_some(),
        }
    }
}

/// One operation at one relying party in one round.
#[derive(Serialize)]
struct Measurement {
    party: String,
    operation: Operation,
    connections: usize,
    count: usize,
    /// CPU time of an operation in milliseconds.
    cpu_ms: f64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

struct Arguments(Vec<String>);

impl Arguments {
    fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|argument| argument == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn numbers(&self, name: &str, default: &[usize]) -> Result<Vec<usize>, String> {
        let Some(text) = self.text(name) else { return Ok(default.to_vec()) };
        text.split(',').map(|number| number.parse().map_err(|_| format!("{name} is not a number: {number}"))).collect()
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, String> {
        Ok(self.numbers(name, &[default])?[0])
    }

    fn operations(&self) -> Result<Vec<Operation>, String> {
        let Some(names) = self.text("--operations") else { return Ok(Operation::ALL.to_vec()) };
        let read = |name| serde_json::from_value(serde_json::Value::from(name));
        names.split(',').map(|name| read(name).map_err(|error| error.to_string())).collect()
    }
}

fn main() -> ExitCode {
    match run(&Arguments(std::env::args().skip(1).collect())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let path = arguments.0.first().ok_or("the settings file is missing")?;
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let settings: Settings = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    let (rounds, count) = (arguments.number("--rounds", 1)?, arguments.number("--count", 1000)?);
    let (connections, operations) = (arguments.numbers("--connections", &[1, 8])?, arguments.operations()?);

    let provider = Provider::start(settings.provider, settings.users)?;
    let bench = Bench { provider: &provider, users: settings.users };
    let signed_in = settings.parties.iter().map(|party| bench.wait_until_ready(party));
    let signed_in: Vec<Cookies> = signed_in.collect::<Result<_, _>>()?;
    let parties: Vec<(&Party, Cookies)> = settings.parties.iter().zip(signed_in).collect();
    let mut measurements = Vec::new();
    let mut turn = 0;
    for _ in 0..rounds {
        for &connections in &connections {
            for &operation in &operations {
                turn += 1;
                let count = if operation == Operation::SignIn { count } else { count * SIGN_IN_WEIGHT };
                for offset in 0..parties.len() {
                    let (party, cookies) = &parties[(turn + offset) % parties.len()];
                    if operation.is_at(party) {
                        let measurement = bench.measure(party, cookies, operation, count, connections)?;
                        println!("{}", serde_json::to_string(&measurement).map_err(|error| error.to_string())?);
                        measurements.push(measurement);
                    }
                }
            }
        }
    }
    let report = report::Report::new(&settings.parties, &measurements, rounds);
    if let Some(path) = arguments.text("--json") {
        report.write_json(path)?;
    }
    if let Some(path) = arguments.text("--markdown") {
        report.write_markdown(path)?;
    }
    Ok(())
}

/// Names in no order, the same in each run: consecutive names would be neighbours in the index.
fn scattered(number: u64, users: u64) -> u64 {
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % users
}

struct Bench<'a> {
    provider: &'a Provider,
    users: u64,
}

impl Bench<'_> {
    /// The cookies of a browser that is signed in.
    fn wait_until_ready(&self, party: &Party) -> Result<Cookies, String> {
        let started = Instant::now();
        loop {
            match requests::sign_in(&mut Client::new(&party.host), party, self.provider) {
                Err(error) if started.elapsed() > STARTUP_TIMEOUT => {
                    return Err(format!("{} completes no sign-in: {error}", party.name));
                }
                Err(_) => thread::sleep(Duration::from_millis(250)),
                ready => return ready,
            }
        }
    }

    fn once(
        &self,
        client: &mut Client,
        party: &Party,
        cookies: &Cookies,
        operation: Operation,
        number: usize,
    ) -> Result<(), String> {
        let name = |prefix: &str| format!("{prefix}{}", scattered(number as u64, self.users) + 1);
        let login = party.login.as_deref().unwrap_or_default();
        match operation {
            Operation::Start => requests::start(client, &party.start, &self.provider.issuer).map(drop),
            Operation::SignIn => requests::sign_in(client, party, self.provider).map(drop),
            Operation::Page => requests::page(client, login, &Cookies::new()),
            Operation::Unknown => requests::look_up(client, login, &name("unknown")),
            Operation::Legacy => requests::look_up(client, login, &name("legacy")),
            Operation::Notice => requests::look_up(client, login, &name("user")),
            Operation::Verify => requests::page(client, party.verify.as_deref().unwrap_or_default(), cookies),
        }
    }

    /// Runs an operation `count` times. An operation that fails ends the measurement.
    fn measure(
        &self,
        party: &Party,
        cookies: &Cookies,
        operation: Operation,
        count: usize,
        connections: usize,
    ) -> Result<Measurement, String> {
        let next = AtomicUsize::new(0);
        let worker = || {
            let (mut client, mut latencies) = (Client::new(&party.host), Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(latencies);
                }
                let started = Instant::now();
                self.once(&mut client, party, cookies, operation, number)?;
                latencies.push(started.elapsed().as_secs_f64() * 1e3);
            }
        };
        let (before, started) = (usage::cpu_ms(party.pid), Instant::now());
        let workers: Vec<Result<Vec<f64>, String>> = thread::scope(|scope| {
            let handles: Vec<_> = (0..connections).map(|_| scope.spawn(worker)).collect();
            let joined = handles.into_iter().map(|handle| handle.join());
            joined.map(|worker| worker.unwrap_or_else(|_| Err("a worker panicked".to_owned()))).collect()
        });
        let seconds = started.elapsed().as_secs_f64();
        thread::sleep(SETTLE);
        let cpu_ms = (usage::cpu_ms(party.pid) - before) / count as f64;
        let mut latencies = Vec::with_capacity(count);
        for worker in workers {
            latencies.extend(worker.map_err(|error| format!("{}: {error}", party.name))?);
        }
        latencies.sort_by(f64::total_cmp);
        let percentile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
        Ok(Measurement {
            party: party.name.clone(),
            operation,
            connections,
            count,
            cpu_ms,
            per_second: count as f64 / seconds,
            p50_ms: percentile(50),
            p99_ms: percentile(99),
        })
    }
}
