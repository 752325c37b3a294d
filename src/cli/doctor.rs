//! `signpost doctor`: what is wrong with an installation, and the command that repairs each finding. `check` is an alias.

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use url::Url;

use super::CliResult;
use super::billers::known;
use super::operator::{Concerned, Global};
use super::output::Output;
use crate::access::Scope;
use crate::app::BuildError;
use crate::config::{Config, Problems};
use crate::db::DbError;
use crate::directory::{Biller, Billers};
use crate::provisioning::{CheckStatus, ReadinessCheck};
use crate::state::AppState;
use crate::web::tls::Tls;
use signpost_core::decision::{CiamState, KillSwitchState};
use signpost_core::{Clock, Slug, Timestamp};

/// A difference of clocks that makes tokens and leases fail, in milliseconds.
const MAX_CLOCK_DIFFERENCE: i64 = 5_000;
const MAIL_TIMEOUT: Duration = Duration::from_secs(10);
const CONCURRENT_BILLERS: usize = 8;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Run the readiness checks of this biller
    #[arg(long, value_name = "SLUG")]
    biller: Option<Slug>,
    #[arg(long, hide = true, requires = "biller")]
    json: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Report {
    /// The worst status of the checks.
    status: CheckStatus,
    checks: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    #[serde(flatten)]
    check: ReadinessCheck,
    #[serde(skip_serializing_if = "Option::is_none")]
    biller: Option<Slug>,
    /// The command that repairs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

impl Finding {
    fn new(status: CheckStatus, name: &'static str, advice: impl Into<String>) -> Self {
        Self { check: ReadinessCheck { name, status, advice: advice.into() }, biller: None, command: None }
    }

    fn pass(name: &'static str, advice: impl Into<String>) -> Self {
        Self::new(CheckStatus::Pass, name, advice)
    }

    fn warning(name: &'static str, advice: impl Into<String>, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..Self::new(CheckStatus::Warning, name, advice) }
    }

    fn fail(name: &'static str, advice: impl Into<String>, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..Self::new(CheckStatus::Fail, name, advice) }
    }

    /// Of a check of the directory layer, with a command unless it passed.
    fn of(check: ReadinessCheck, command: impl Into<String>) -> Self {
        let command = (check.status != CheckStatus::Pass).then(|| command.into());
        Self { check, biller: None, command }
    }

    fn is_failure(&self) -> bool {
        self.check.status == CheckStatus::Fail
    }

    fn subject(&self) -> String {
        match &self.biller {
            Some(slug) => format!("{slug}: {}", self.check.name),
            None => self.check.name.to_owned(),
        }
    }
}

pub(super) async fn run(global: &Global, arguments: Doctor) -> CliResult {
    let output = arguments.output.or_json(arguments.json);
    match arguments.biller {
        Some(slug) => check_biller(global, &slug, output).await,
        None => check_installation(global, output).await,
    }
}

async fn check_biller(global: &Global, slug: &Slug, output: Output) -> CliResult {
    let state = global.open(Some(Scope::BillersRead), Concerned::One(slug)).await?.state;
    let card = state.provisioning.readiness(&*known(&state, slug).await?).await?;
    output.print(&card, || {
        for line in &card.checks {
            outln!("{:<7}  {:<19}  {}", line.status.as_str(), line.name, line.advice);
        }
    })?;
    if card.status == CheckStatus::Fail {
        bail!("{slug} is not ready");
    }
    Ok(())
}

async fn check_installation(global: &Global, output: Output) -> CliResult {
    let edit = format!("$EDITOR {}", global.config.display());
    let config = match super::load(&global.config) {
        Ok(config) => config,
        Err(error) => {
            let invalid = |problem: &String| Finding::fail("settings", problem, repair_of_setting(problem, &edit));
            if let Some(Problems(problems)) = error.downcast_ref() {
                print(output, problems.iter().map(invalid).collect())?;
            }
            return Err(error);
        }
    };
    let mut findings = settings(&config, global, &edit);
    match global.open(None, Concerned::All).await {
        Ok(session) => findings.extend(services(&session.state, &edit).await?),
        Err(error) => findings.push(database_failure(&error)),
    }
    let failures: Vec<String> = findings
        .iter()
        .filter(|finding| finding.is_failure())
        .map(|finding| format!("{}: {}", finding.subject(), finding.check.advice))
        .collect();
    print(output, findings)?;
    match &failures[..] {
        [] => Ok(()),
        failures => Err(anyhow!("{} check(s) failed\n  {}", failures.len(), failures.join("\n  "))),
    }
}

fn print(output: Output, checks: Vec<Finding>) -> CliResult {
    let status = checks.iter().map(|finding| finding.check.status).max().unwrap_or(CheckStatus::Pass);
    let report = Report { status, checks };
    output.print(&report, || {
        for finding in &report.checks {
            let word = match finding.check.status {
                CheckStatus::Pass => "ok",
                CheckStatus::Warning => "warn",
                CheckStatus::Fail => "fail",
            };
            outln!("{word:<4}  {}: {}", finding.subject(), finding.check.advice);
            if let Some(command) = &finding.command {
                outln!("      repair: {command}");
            }
        }
    })
}

/// A missing key file is created, all else is edited.
fn repair_of_setting(problem: &str, edit: &str) -> String {
    let missing = problem.strip_prefix("secrets.keys").and_then(|rest| rest.split_once("the secret file "));
    let file = missing.and_then(|(_, rest)| rest.split_once(" cannot be read")).map(|(file, _)| file);
    file.map_or_else(|| edit.to_owned(), |file| format!("signpost secrets create {file}"))
}

/// The certificate of the public listener, if it has one.
fn certificate(config: &Config, edit: &str) -> Option<Finding> {
    let tls = match Tls::load(&config.server) {
        Ok(tls) => tls?,
        Err(problem) => return Some(Finding::fail("certificate", problem.to_string(), edit)),
    };
    Some(match (tls.expiry_problem(Clock::System.now()), tls.expires()) {
        (Some(problem), _) => Finding::warning("certificate", problem, edit),
        (None, Some(expires)) => Finding::pass("certificate", format!("valid until {expires}")),
        (None, None) => Finding::pass("certificate", "matches its key"),
    })
}

/// What the settings and the files that they name tell.
fn settings(config: &Config, global: &Global, edit: &str) -> Vec<Finding> {
    let mut findings = vec![Finding::pass("settings", format!("{} is valid.", global.config.display()))];
    if config.oidc.allow_loopback_issuers {
        let advice = "oidc.allow_loopback_issuers is on: Signpost accepts issuers over http and on this machine. Turn it \
            off in production.";
        findings.push(Finding::warning("settings", advice, edit));
    }
    if config.server.public_url.scheme() != "https" {
        let advice = "server.public_url is not https: browsers keep the session cookie on localhost only.";
        findings.push(Finding::warning("settings", advice, edit));
    }
    if config.legacy.reset_url.is_none() {
        let advice = "legacy.reset_url is missing: users who forgot a legacy password get the recovery page.";
        findings.push(Finding::warning("settings", advice, edit));
    }
    findings.extend(certificate(config, edit));
    let exposed = config.exposed_files(&global.config);
    if exposed.is_empty() {
        findings.push(Finding::pass("permissions", "Others have no access to secrets and database files."));
    }
    for file in exposed {
        let (path, mode) = (file.path.display(), file.mode);
        let advice = format!("{path} has mode {mode:04o}: others can read it, or its group can change it.");
        findings.push(Finding::warning("permissions", advice, format!("chmod 600 {path}")));
    }
    findings
}

fn database_failure(error: &anyhow::Error) -> Finding {
    let cause = error.downcast_ref::<BuildError>().map(|error| match error {
        BuildError::Db { error, .. } => Some(error),
        _ => None,
    });
    let command = match cause.flatten() {
        Some(DbError::DatabaseNotFound | DbError::SchemaOutdated { .. }) => "signpost migrate",
        _ => "signpost config show database",
    };
    Finding::fail("database", super::error_message(error), command)
}

/// What the running parts tell: database, clock, network, mail and identity providers.
async fn services(state: &AppState, edit: &str) -> Result<Vec<Finding>, anyhow::Error> {
    let mut findings = vec![Finding::pass("database", "reachable, schema up to date")];
    findings.push(clock(state.db.clock().await?, state.clock.now()));
    findings.extend(addresses(state, edit).await);
    let mail = tokio::time::timeout(MAIL_TIMEOUT, state.mail.check_connection()).await;
    findings.push(match mail.unwrap_or(Some(false)) {
        Some(true) => Finding::pass("mail", "the server responds"),
        Some(false) => {
            let advice = "the server does not respond, or rejects mail.username and mail.password.";
            Finding::fail("mail", advice, "signpost config show mail")
        }
        None => Finding::warning("mail", "mail.server is missing: Signpost cannot mail sign-in links.", edit),
    });
    let billers = state.directory.billers().await?;
    findings.extend(references(state, &billers, edit));
    let active = billers.iter().filter(|biller| biller.state == CiamState::Active);
    let checks = active.map(|biller| provider(state, biller));
    let checks: Vec<Vec<Finding>> = stream::iter(checks).buffered(CONCURRENT_BILLERS).collect().await;
    findings.extend(checks.into_iter().flatten());
    Ok(findings)
}

/// `theirs` is the time of the database server, if it has a clock of its own.
fn clock(theirs: Option<Timestamp>, ours: Timestamp) -> Finding {
    let Some(theirs) = theirs else { return Finding::pass("clock", format!("It is {ours} here.")) };
    let difference = theirs.millis() - ours.millis();
    if difference.abs() <= MAX_CLOCK_DIFFERENCE {
        return Finding::pass("clock", "The database server has the same time.");
    }
    let side = if difference > 0 { "ahead of" } else { "behind" };
    let seconds = difference.abs() / 1000;
    let advice =
        format!("The database server's clock is {seconds} s {side} ours. Synchronize both with a time server.");
    Finding::warning("clock", advice, "timedatectl set-ntp true")
}

/// DNS and certificates of the addresses that customers and staff are sent to.
async fn addresses(state: &AppState, edit: &str) -> Vec<Finding> {
    let config = &state.config;
    let named = [
        ("server.public_url", Some(&config.server.public_url)),
        ("console.public_url", config.console.public_url.as_ref().filter(|_| config.console.listen.is_some())),
        ("legacy.login_url", config.legacy.login_url.as_ref()),
        ("legacy.reset_url", config.legacy.reset_url.as_ref()),
        ("portal.handoff_url", config.portal.handoff_url.as_ref()),
    ];
    let named: Vec<(&str, &Url)> = named.into_iter().filter_map(|(name, url)| Some((name, url?))).collect();
    let checks = named.into_iter().map(|(name, url)| async move {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let checks = state.provisioning.address_findings(name, url).await;
        checks.into_iter().map(move |check| {
            let command = match check.name {
                "tls" => format!("openssl s_client -connect {host}:{port} -servername {host}"),
                _ => edit.to_owned(),
            };
            Finding::of(check, command)
        })
    });
    futures_util::future::join_all(checks).await.into_iter().flatten().collect()
}

/// Billers and files that the settings name.
fn references(state: &AppState, billers: &Billers, edit: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for mapped in state.config.legacy_paths.iter().filter_map(|mapped| mapped.biller.as_ref()) {
        if billers.by_slug(mapped).is_none() {
            let advice = format!("there is no biller {mapped}. Import it or remove the mapping.");
            findings.push(Finding::fail("legacy_paths", advice, "signpost import billers FILE"));
        }
    }
    if let KillSwitchState::BillerLegacy(slug) = &state.config.routing.kill_switch
        && billers.by_slug(slug).is_none()
    {
        findings.push(Finding::fail("routing.kill_switch", format!("there is no biller {slug}."), edit));
    }
    if let Some(problem) = state.routing.kill_switch.file_problem() {
        let advice = format!("{problem}.");
        findings.push(Finding::fail("routing.kill_switch_file", advice, "signpost kill-switch remove --file"));
    }
    findings
}

/// What a sign-in needs of an active biller's identity provider.
async fn provider(state: &AppState, biller: &Biller) -> Vec<Finding> {
    let slug = &biller.slug;
    let mut findings = Vec::new();
    if biller.settings.oidc.as_ref().is_some_and(|oidc| oidc.bind_claim == "preferred_username") {
        let advice = "Signpost identifies users by the claim preferred_username. A claim with our user id is safer, if the \
            provider can send one (oidc.bind_claim, oidc.bind_to).";
        findings.push(Finding::warning("claim", advice, "signpost import billers FILE"));
    }
    let checks = state.provisioning.provider_findings(biller).await;
    let is_usable = checks.iter().all(|check| check.status != CheckStatus::Fail);
    let checks = checks.into_iter().filter(|check| check.status != CheckStatus::Pass);
    findings.extend(checks.map(|check| {
        let command = match check.name {
            "clock" => "timedatectl set-ntp true".to_owned(),
            _ if ["oidc.", "Import"].iter().any(|ours| check.advice.contains(ours)) => {
                "signpost import billers FILE".to_owned()
            }
            // It is repaired at the provider: this command checks it again.
            _ => format!("signpost doctor --biller {slug}"),
        };
        Finding::of(check, command)
    }));
    if is_usable {
        findings.push(Finding::pass("issuer", "customers can sign in at its identity provider"));
    }
    findings.into_iter().map(|finding| Finding { biller: Some(slug.clone()), ..finding }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_is_reported_with_side_and_seconds() {
        let ours = Timestamp::parse("2026-11-22T08:00:00Z").unwrap();
        for (theirs, says) in [
            ("2026-11-22T08:00:04Z", "the same time"),
            ("2026-11-22T08:00:30Z", "30 s ahead of ours"),
            ("2026-11-22T07:59:00Z", "60 s behind ours"),
        ] {
            let finding = clock(Timestamp::parse(theirs), ours);
            assert!(finding.check.advice.contains(says), "{}", finding.check.advice);
            assert_eq!(finding.command.is_some(), !says.starts_with("the same"));
        }
    }
}
