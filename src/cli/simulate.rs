//! `signpost simulate`: where would somebody be taken, and why?

use std::path::Path;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use url::Url;

use super::Done;
use crate::decision::{CiamState, Entry, IssuerHealth, Kill, Outcome, Verdict};
use crate::kernel::{Slug, Timestamp, TypedName};
use crate::routing::{Arrival, Overrides, Routed, address};
use crate::state::AppState;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Ask the demo's world instead of the database of the settings.
    #[arg(long)]
    demo: bool,
    /// The username typed; needed at the shared address.
    #[arg(long)]
    username: Option<String>,
    /// The address the browser knocks at [default: the shared sign-in page].
    #[arg(long, value_name = "URL")]
    entry: Option<String>,
    /// Text for people, or one JSON object.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// As if the issuer of a biller were `up` or `down`.
    #[arg(long, value_name = "SLUG=HEALTH", value_parser = issuer)]
    issuer: Vec<(Slug, IssuerHealth)>,
    /// As if a biller were `legacy`, `enabling`, `active` or `suspended`.
    #[arg(long, value_name = "SLUG=STATE", value_parser = biller)]
    biller: Vec<(Slug, CiamState)>,
    /// As if the directory were `up` or `down`.
    #[arg(long, value_enum)]
    directory: Option<Health>,
    /// As if the kill switch were `off`, `all-legacy`, `hold`, or `SLUG=legacy`.
    #[arg(long)]
    kill: Option<Kill>,
    /// As of this time, such as 2026-11-22T08:00:00Z.
    #[arg(long, value_parser = time)]
    at: Option<Timestamp>,
    /// As if the device remembered these billers.
    #[arg(long, value_name = "SLUG,…", value_delimiter = ',', value_parser = slug)]
    remembered: Vec<Slug>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
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

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| "expected a time such as 2026-11-22T08:00:00Z".to_owned())
}

pub(super) async fn run(config: &Path, arguments: Arguments) -> Done {
    if arguments.demo {
        return run_on_demo(arguments).await;
    }
    let app = super::open(config).await?;
    simulate(&app.state, arguments).await
}

#[cfg(feature = "standin")]
async fn run_on_demo(arguments: Arguments) -> Done {
    let directory = tempfile::tempdir()?;
    let app = super::demo::at_rest(directory.path()).await?;
    simulate(&app.state, arguments).await
}

#[cfg(not(feature = "standin"))]
async fn run_on_demo(_: Arguments) -> Done {
    bail!("this program was built without the demo (cargo feature `standin`)")
}

async fn simulate(state: &AppState, arguments: Arguments) -> Done {
    let billers = state.directory.billers().await?;
    for (slug, _) in &arguments.biller {
        if billers.by_slug(slug).is_none() {
            bail!("--biller: there is no biller {slug}");
        }
    }
    let killed = match &arguments.kill {
        Some(Kill::BillerLegacy(slug)) => Some(slug),
        _ => None,
    };
    for slug in arguments.issuer.iter().map(|(slug, _)| slug).chain(&arguments.remembered).chain(killed) {
        if billers.by_slug(slug).is_none() {
            bail!("there is no biller {slug}");
        }
    }
    let public = &state.config.server.public_url;
    let entry = arguments.entry.as_deref().unwrap_or("/login");
    // "pay.example.com/bills" is a host and a path, not a path of ours.
    let with_scheme = format!("{}://{entry}", public.scheme());
    let entry = if entry.starts_with('/') || entry.contains("://") { entry } else { &with_scheme };
    let url = public.join(entry).with_context(|| format!("--entry: {entry:?} is not an address"))?;
    let found = address(&state.config, &billers, &host_of(&url), url.path(), url.query());
    let Some(found) = found else { bail!("--entry: {url} is not an address that Signpost serves") };
    let name = arguments.username.as_deref().map(TypedName::parse).transpose().context("--username")?;
    if found.entry == Entry::Shared && name.is_none() {
        bail!("--username is needed at the shared address");
    }
    let arrival = Arrival { entry: found.entry, name, remembered: arguments.remembered };
    let overrides = Overrides {
        issuers: arguments.issuer,
        states: arguments.biller,
        directory_down: arguments.directory == Some(Health::Down),
        kill: arguments.kill,
        at: arguments.at,
    };
    let routed = state.routing.simulate(&arrival, &overrides).await;
    match arguments.format {
        Format::Json => say!("{}", serde_json::to_string(&routed.verdict)?),
        Format::Text => print_text(&routed),
    }
    Ok(())
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn print_text(routed: &Routed) {
    let biller = routed.verdict.biller.as_ref().and_then(|slug| routed.billers.by_slug(slug));
    say!("{}", text(&routed.verdict, biller.map(|biller| biller.name.as_str())));
}

/// A verdict for people: where to, why, and every rule.
pub(super) fn text(verdict: &Verdict, biller: Option<&str>) -> String {
    use std::fmt::Write;
    let place = verdict.decision.in_words();
    let mut out = match biller {
        Some(biller) => format!("Goes to:  {place} ({biller})\n"),
        None => format!("Goes to:  {place}\n"),
    };
    let because = verdict.trace.iter().find(|step| step.rule == verdict.rule).map_or("", |step| &step.because);
    let _ = writeln!(out, "Because:  {because}");
    let _ = writeln!(out, "Row:      {} of the routing table, by the rule {}\n", verdict.row, verdict.rule.as_str());
    for step in &verdict.trace {
        let mark = match step.outcome {
            Outcome::Hit => "hit ",
            Outcome::Miss => "miss",
            Outcome::NotEvaluated => " -  ",
        };
        let _ = writeln!(out, "  {mark}  {:<22} {}", step.rule.as_str(), step.because);
    }
    out
}
