//! `signpost simulate`

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};

use super::CliResult;
use super::operator::{Concerned, Global};
use super::output::Output;
use crate::access::Scope;
use crate::routing::{DirectoryAvailability, SimulationError, SimulationRequest, SimulationResult};
use crate::state::AppState;
use signpost_core::decision::{CiamState, IssuerHealth, KillSwitchState, NO_TRACE, RuleOutcome, Verdict};
use signpost_core::{Rollout, Slug, Timestamp};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Use the demo world instead of the database
    #[arg(long)]
    demo: bool,
    /// Username; required on the shared sign-in page
    #[arg(long)]
    username: Option<String>,
    /// Entry point [default: the shared sign-in page]
    #[arg(long, value_name = "URL")]
    entry: Option<String>,
    #[command(flatten)]
    output: Output,
    /// Read simulations from a file (`-`: standard input), one JSON object per line as for POST /api/v1/simulations
    ///
    /// The results have the same order, one JSON object per line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["username", "entry", "format", "issuer", "biller", "rollout", "directory", "kill", "at", "remembered"])]
    batch: Option<PathBuf>,
    /// Override the health of a biller's issuer: `up` or `down`; repeatable
    #[arg(long, value_name = "SLUG=HEALTH", value_parser = issuer)]
    issuer: Vec<(Slug, IssuerHealth)>,
    /// Override the state of a biller: `legacy`, `enabling`, `active` or `suspended`; repeatable
    #[arg(long, value_name = "SLUG=STATE", value_parser = biller)]
    biller: Vec<(Slug, CiamState)>,
    /// Override the rollout of a biller: `all` or a percentage; repeatable
    #[arg(long, value_name = "SLUG=PERCENT", value_parser = rollout)]
    rollout: Vec<(Slug, Rollout)>,
    /// Override the directory: `up` or `down`
    #[arg(long, value_enum)]
    directory: Option<Health>,
    /// Override the kill switch: `off`, `all-legacy`, `hold` or `SLUG=legacy`
    #[arg(long)]
    kill: Option<KillSwitchState>,
    /// Override the time, such as 2026-11-22T08:00:00Z
    #[arg(long, value_parser = time)]
    at: Option<Timestamp>,
    /// Override the billers that the device remembers
    #[arg(long, value_name = "SLUG,…", value_delimiter = ',', value_parser = slug)]
    remembered: Vec<Slug>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Health {
    Up,
    Down,
}

fn slug(text: &str) -> Result<Slug, String> {
    Slug::parse(text.trim()).map_err(|error| error.to_string())
}

fn pair(text: &str) -> Result<(Slug, &str), String> {
    let (name, value) = text.split_once('=').ok_or("expected SLUG=VALUE")?;
    Ok((slug(name)?, value))
}

fn issuer(text: &str) -> Result<(Slug, IssuerHealth), String> {
    match pair(text)? {
        (slug, "up") => Ok((slug, IssuerHealth::Up)),
        (slug, "down") => Ok((slug, IssuerHealth::Down)),
        _ => Err("expected up or down".to_owned()),
    }
}

fn biller(text: &str) -> Result<(Slug, CiamState), String> {
    let (slug, value) = pair(text)?;
    let states = [CiamState::Legacy, CiamState::Enabling, CiamState::Active, CiamState::Suspended];
    let state = states.into_iter().find(|state| state.as_str() == value);
    state.map(|state| (slug, state)).ok_or_else(|| "expected legacy, enabling, active or suspended".to_owned())
}

pub(super) fn rollout(text: &str) -> Result<(Slug, Rollout), String> {
    let (slug, value) = pair(text)?;
    if value == "all" {
        return Ok((slug, Rollout::default()));
    }
    let percent = value.parse().ok().filter(|percent| *percent <= 100);
    let percent = percent.ok_or("expected all, or a number from 0 to 100")?;
    Ok((slug, Rollout { allow: None, percent: Some(percent) }))
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| "expected a time such as 2026-11-22T08:00:00Z, or a date such as 2026-11-22 (UTC)".to_owned())
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    if arguments.demo {
        return run_on_demo(arguments).await;
    }
    let session = global.open(Some(Scope::Simulate), Concerned::AsPermitted).await?;
    simulate(&session.state, session.biller_scope(), arguments).await
}

#[cfg(feature = "standin")]
async fn run_on_demo(arguments: Arguments) -> CliResult {
    let directory = tempfile::tempdir()?;
    let app = super::demo::offline_app(directory.path()).await?;
    simulate(&app.state, None, arguments).await
}

#[cfg(not(feature = "standin"))]
async fn run_on_demo(_: Arguments) -> CliResult {
    bail!("this build has no demo (cargo feature `standin`)")
}

async fn simulate(state: &AppState, biller_scope: Option<&[Slug]>, arguments: Arguments) -> CliResult {
    if let Some(file) = &arguments.batch {
        return batch(state, biller_scope, file).await;
    }
    let output = arguments.output;
    let answer =
        state.routing.simulate(&arguments.request(), biller_scope).await.map_err(|error| with_option_name(&error))?;
    output.print(&answer.routing_result.verdict, || print_text(&answer))
}

/// Prints one result or error per line. Fails at the end if a line was invalid.
async fn batch(state: &AppState, biller_scope: Option<&[Slug]>, file: &Path) -> CliResult {
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?)
    };
    let mut failures = 0;
    for line in BufReader::new(source).lines() {
        let line = line.with_context(|| format!("cannot read {}", file.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<SimulationRequest>(&line) {
            Ok(request) => state.routing.simulate(&request, biller_scope).await.map_err(|error| match error.field() {
                Some(field) => format!("{field}: {error}"),
                None => error.to_string(),
            }),
            Err(error) => Err(error.to_string()),
        };
        match answer {
            Ok(answer) => outln!("{}", serde_json::to_string(&answer.routing_result.verdict)?),
            Err(error) => {
                failures += 1;
                outln!("{}", serde_json::json!({ "error": error }));
            }
        }
    }
    if failures > 0 {
        bail!("{failures} simulation(s) failed");
    }
    Ok(())
}

impl Arguments {
    fn request(self) -> SimulationRequest {
        SimulationRequest {
            username: self.username,
            entry: self.entry,
            billers: self.biller.into_iter().collect(),
            issuers: self.issuer.into_iter().collect(),
            rollouts: self.rollout.into_iter().collect(),
            directory: self.directory.map(|health| match health {
                Health::Up => DirectoryAvailability::Up,
                Health::Down => DirectoryAvailability::Down,
            }),
            kill_switch: self.kill,
            at: self.at,
            remembered: self.remembered,
            locale: None,
        }
    }
}

/// Names the option that caused an error.
fn with_option_name(error: &SimulationError) -> anyhow::Error {
    let option = match error.field() {
        Some("billers") => "--biller: ",
        Some("issuers") => "--issuer: ",
        Some("rollouts") => "--rollout: ",
        Some("remembered") => "--remembered: ",
        Some("kill_switch") => "--kill: ",
        Some("entry") => "--entry: ",
        Some("username") if matches!(error, SimulationError::UsernameMissing) => "--username ",
        Some("username") => "--username: ",
        _ => "",
    };
    anyhow!("{option}{error}")
}

fn print_text(answer: &SimulationResult) {
    let routing_result = &answer.routing_result;
    let biller = routing_result.verdict.biller.as_ref().and_then(|slug| routing_result.billers.by_slug(slug));
    outln!("{}", text(&routing_result.verdict, biller.map(|biller| biller.name.as_str())));
    outln!("What would change it:");
    for counterfactual in &answer.would_change {
        outln!("  {}", counterfactual.description);
    }
}

/// A verdict as readable text: destination, reason and every rule.
pub(super) fn text(verdict: &Verdict, biller: Option<&str>) -> String {
    use std::fmt::Write;
    let destination = verdict.decision.label();
    let mut out = match biller {
        Some(biller) => format!("Goes to:  {destination} ({biller})\n"),
        None => format!("Goes to:  {destination}\n"),
    };
    let because = verdict.because().unwrap_or(NO_TRACE);
    let _ = writeln!(out, "Because:  {because}");
    let _ = writeln!(out, "Row:      {} of the routing table, by the rule {}\n", verdict.row, verdict.rule.as_str());
    for step in &verdict.trace {
        let mark = match step.outcome {
            RuleOutcome::Hit => "hit ",
            RuleOutcome::Miss => "miss",
            RuleOutcome::NotEvaluated => " -  ",
        };
        let _ = writeln!(out, "  {mark}  {:<22} {}", step.rule.as_str(), step.because);
    }
    out
}
