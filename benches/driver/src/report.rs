//! Medians and ratios of a run.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::usage;
use crate::{Measurement, Operation, Party};

const BEGIN: &str = "<!-- begin measurements -->";
const END: &str = "<!-- end measurements -->";

struct Figures<'a> {
    party: &'a Party,
    operation: Operation,
    connections: usize,
    cpu_ms: f64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

pub struct Report<'a> {
    /// The first one is what the others are compared with.
    parties: &'a [Party],
    rounds: usize,
    sign_ins: usize,
    memory_mib: Vec<f64>,
    figures: Vec<Figures<'a>>,
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// The day in UTC, as `date` prints it.
fn today() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%F"]).output();
    let printed = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    printed.map_or_else(
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()).to_string(),
        |day| day.trim().to_owned(),
    )
}

fn title(operation: Operation) -> &'static str {
    match operation {
        Operation::Start => "start of a sign-in",
        Operation::SignIn => "whole sign-in",
        Operation::Page => "`GET /login`",
        Operation::Unknown => "`POST /login`, unknown name",
        Operation::Legacy => "`POST /login`, name of a legacy biller",
        Operation::Notice => "`POST /login`, name of a migrated biller",
        Operation::Verify => "session check of a reverse proxy",
    }
}

impl<'a> Report<'a> {
    pub fn new(parties: &'a [Party], measurements: &[Measurement], rounds: usize) -> Self {
        let mut connections: Vec<usize> = measurements.iter().map(|measurement| measurement.connections).collect();
        connections.sort_unstable();
        connections.dedup();
        let mut figures = Vec::new();
        for operation in Operation::ALL {
            for &connections in &connections {
                for party in parties {
                    let of_this = measurements.iter().filter(|found| {
                        found.party == party.name && found.operation == operation && found.connections == connections
                    });
                    let of_this: Vec<&Measurement> = of_this.collect();
                    if of_this.is_empty() {
                        continue;
                    }
                    let median_of =
                        |value: fn(&Measurement) -> f64| median(of_this.iter().map(|measurement| value(measurement)));
                    figures.push(Figures {
                        party,
                        operation,
                        connections,
                        cpu_ms: median_of(|measurement| measurement.cpu_ms),
                        per_second: median_of(|measurement| measurement.per_second),
                        p50_ms: median_of(|measurement| measurement.p50_ms),
                        p99_ms: median_of(|measurement| measurement.p99_ms),
                    });
                }
            }
        }
        let first = parties.first().map_or("", |party| &party.name);
        let sign_ins = measurements.iter().filter(|found| found.party == first && found.operation == Operation::SignIn);
        Self {
            parties,
            rounds,
            sign_ins: sign_ins.map(|measurement| measurement.count).sum(),
            memory_mib: parties.iter().map(|party| usage::memory_mib(party.pid)).collect(),
            figures,
        }
    }

    fn find(&self, party: &Party, operation: Operation, connections: usize) -> Option<&Figures<'a>> {
        self.figures.iter().find(|found| {
            found.party.name == party.name && found.operation == operation && found.connections == connections
        })
    }

    pub fn write_json(&self, path: &str) -> Result<(), String> {
        let figures = self.figures.iter().map(|found| {
            let ratio = self.parties.first().and_then(|first| self.find(first, found.operation, found.connections));
            json!({
                "party": found.party.name, "operation": found.operation, "connections": found.connections,
                "cpu_ms": rounded(found.cpu_ms), "per_second": found.per_second.round(), "p50_ms": rounded(found.p50_ms),
                "p99_ms": rounded(found.p99_ms),
                "cpu_ratio_of_signpost": ratio.map(|first| rounded(first.cpu_ms / found.cpu_ms)),
            })
        });
        let parties = self
            .parties
            .iter()
            .zip(&self.memory_mib)
            .map(|(party, mib)| json!({ "name": party.name, "version": party.version, "memory_mib": mib.round() }));
        let report = json!({
            "date": today(), "rounds": self.rounds, "sign_ins": self.sign_ins, "machine": usage::machine(),
            "parties": parties.collect::<Vec<Value>>(), "medians": figures.collect::<Vec<Value>>(),
        });
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        fs::write(path, text + "\n").map_err(|error| format!("{path}: {error}"))
    }

    /// Replaces what stands between the markers.
    pub fn write_markdown(&self, path: &str) -> Result<(), String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let parts = text.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
        let (head, tail) = parts.ok_or_else(|| format!("{path} has no line {BEGIN} before a line {END}"))?;
        fs::write(path, format!("{head}{BEGIN}\n\n{}\n{END}{tail}", self.tables()))
            .map_err(|error| format!("{path}: {error}"))
    }

    fn tables(&self) -> String {
        let names: Vec<&str> = self.parties.iter().map(|party| party.name.as_str()).collect();
        let versions = self.parties.iter().map(|party| format!("{} {}", party.name, party.version));
        let mut text = format!(
            "Measured on {} on {}. Medians of {} rounds. {}.\n\n",
            today(),
            usage::machine(),
            self.rounds,
            versions.collect::<Vec<_>>().join(", ")
        );
        text += "CPU milliseconds of an operation, one at a time / eight at once, and in brackets how many times as much Signpost needs:\n\n";
        text += &header(&names);
        for operation in Operation::ALL {
            let cells = self.parties.iter().map(|party| self.cpu_cell(party, operation));
            text += &row(title(operation), cells);
        }
        let memory = self.memory_mib.iter().map(|mib| format!("{mib:.0}"));
        text += &row(&format!("resident memory after {} sign-ins, MiB", self.sign_ins), memory);
        text += "\nWhole sign-ins a second, and the time of one in milliseconds (median / 99th percentile):\n\n";
        text += &header(&names);
        let mut connections: Vec<usize> = self.figures.iter().map(|found| found.connections).collect();
        connections.sort_unstable();
        connections.dedup();
        for connections in connections {
            let of = |party| self.find(party, Operation::SignIn, connections);
            let per_second = self
                .parties
                .iter()
                .map(|party| of(party).map_or(String::new(), |found| format!("{:.0}", found.per_second)));
            text += &row(&format!("a second, {connections} at once"), per_second);
            let latency = self.parties.iter().map(|party| {
                of(party).map_or(String::new(), |found| format!("{:.1} / {:.1}", found.p50_ms, found.p99_ms))
            });
            text += &row(&format!("time, {connections} at once"), latency);
        }
        text
    }

    fn cpu_cell(&self, party: &Party, operation: Operation) -> String {
        let found = self.figures.iter().filter(|found| found.party.name == party.name && found.operation == operation);
        let found: Vec<&Figures<'_>> = found.collect();
        let costs: Vec<String> = found.iter().map(|found| format!("{:.3}", found.cpu_ms)).collect();
        let ratios: Vec<String> = found
            .iter()
            .filter_map(|found| {
                let first = self.find(self.parties.first()?, operation, found.connections)?;
                Some(format!("{:.1}", first.cpu_ms / found.cpu_ms))
            })
            .collect();
        match self.parties.first() {
            Some(first) if first.name != party.name && !costs.is_empty() => {
                format!("{} ({})", costs.join(" / "), ratios.join(" / "))
            }
            _ => costs.join(" / "),
        }
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn header(names: &[&str]) -> String {
    format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()))
}

fn row(title: &str, cells: impl Iterator<Item = String>) -> String {
    format!("| {title} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
}
