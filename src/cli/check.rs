//! `signpost check`

use anyhow::bail;
use clap::Args;

use super::CliResult;
use super::operator::{Concerned, Global};
use crate::access::Scope;
use crate::provisioning::CheckStatus;
use crate::web::tls::Tls;
use signpost_core::decision::{CiamState, KillSwitchState};
use signpost_core::{Clock, Slug};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Run the readiness checks of this biller
    #[arg(long, value_name = "SLUG")]
    biller: Option<Slug>,
    /// Print JSON
    #[arg(long, requires = "biller")]
    json: bool,
}

pub(super) async fn run(global: &Global, arguments: Check) -> CliResult {
    match arguments.biller {
        Some(slug) => check_biller(global, &slug, arguments.json).await,
        None => check_installation(global).await,
    }
}

async fn check_biller(global: &Global, slug: &Slug, json: bool) -> CliResult {
    let state = global.open(Some(Scope::BillersRead), Concerned::One(slug)).await?.state;
    let Some(biller) = state.directory.biller_by_slug(slug).await? else { bail!("there is no biller {slug}") };
    let card = state.provisioning.readiness(&biller).await?;
    if json {
        outln!("{}", serde_json::to_string(&card)?);
    } else {
        for line in &card.checks {
            outln!("{:<7}  {:<19}  {}", line.status.as_str(), line.name, line.advice);
        }
    }
    if card.status == CheckStatus::Fail {
        bail!("{slug} is not ready");
    }
    Ok(())
}

async fn check_installation(global: &Global) -> CliResult {
    let settings = super::load(&global.config)?;
    outln!("ok    settings: {}", global.config.display());
    let mut failures = 0;
    if settings.oidc.allow_loopback_issuers {
        outln!(
            "warn  oidc.allow_loopback_issuers is on: Signpost accepts issuers over http and on this machine. Turn it off in production."
        );
    }
    if settings.server.public_url.scheme() != "https" {
        outln!("warn  server.public_url is not https: browsers keep the session cookie on localhost only.");
    }
    if settings.legacy.reset_url.is_none() {
        outln!("warn  legacy.reset_url is missing: users who forgot a legacy password get the recovery page.");
    }
    match Tls::load(&settings.server) {
        Ok(None) => {}
        Ok(Some(tls)) => match (tls.expiry_problem(Clock::System.now()), tls.expires()) {
            (Some(problem), _) => outln!("warn  {problem}."),
            (None, Some(expires)) => outln!("ok    server.tls_certificate: valid until {expires}"),
            (None, None) => outln!("ok    server.tls_certificate: matches its key"),
        },
        Err(problem) => {
            failures += 1;
            outln!("fail  {problem}.");
        }
    }
    let state = global.open(None, Concerned::All).await?.state;
    outln!("ok    database: reachable, schema up to date");
    match state.mail.check_connection().await {
        Some(true) => outln!("ok    mail: the server responds"),
        Some(false) => {
            failures += 1;
            outln!("fail  mail: the server does not respond, or rejects mail.username and mail.password.");
        }
        None => outln!("warn  mail.server is missing: Signpost cannot mail sign-in links."),
    }
    let billers = state.directory.billers().await?;
    for mapped in state.config.legacy_paths.iter().filter_map(|mapped| mapped.biller.as_ref()) {
        if billers.by_slug(mapped).is_none() {
            failures += 1;
            outln!("fail  legacy_paths: there is no biller {mapped}. Import it or remove the mapping.");
        }
    }
    if let KillSwitchState::BillerLegacy(slug) = &state.config.routing.kill_switch
        && billers.by_slug(slug).is_none()
    {
        failures += 1;
        outln!("fail  routing.kill_switch: there is no biller {slug}.");
    }
    if let Some(problem) = state.routing.kill_switch.file_problem() {
        failures += 1;
        outln!("fail  routing.kill_switch_file: {problem}.");
    }
    for biller in billers.iter().filter(|biller| biller.state == CiamState::Active) {
        if biller.settings.oidc.as_ref().is_some_and(|oidc| oidc.bind_claim == "preferred_username") {
            outln!(
                "warn  {}: Signpost identifies users by the claim preferred_username. A claim with our user id is safer, if the provider can send one (oidc.bind_claim, oidc.bind_to).",
                biller.slug
            );
        }
        let findings = state.provisioning.provider_findings(biller).await;
        failures += findings.iter().filter(|finding| finding.status == CheckStatus::Fail).count();
        for finding in findings.iter().filter(|finding| finding.status != CheckStatus::Pass) {
            let word = if finding.status == CheckStatus::Fail { "fail" } else { "warn" };
            outln!("{word}  {}: {}: {}", biller.slug, finding.name, finding.advice);
        }
        if findings.iter().all(|finding| finding.status != CheckStatus::Fail) {
            outln!("ok    {}: customers can sign in at its identity provider", biller.slug);
        }
    }
    if failures > 0 {
        bail!("{failures} check(s) failed");
    }
    Ok(())
}
