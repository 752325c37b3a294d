//! `signpost check`: says what is wrong and what to do.

use std::path::Path;

use anyhow::bail;
use clap::Args;

use super::Done;
use crate::enablement::{Level, advice};
use crate::secureauth::ProviderError;
use crate::web::registrations;
use signpost_core::Slug;
use signpost_core::decision::{CiamState, Kill};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Only this biller: whether it is ready to sign its people in.
    #[arg(long, value_name = "SLUG")]
    biller: Option<Slug>,
    /// As JSON.
    #[arg(long, requires = "biller")]
    json: bool,
}

pub(super) async fn run(config: &Path, arguments: Check) -> Done {
    match arguments.biller {
        Some(slug) => readiness(config, &slug, arguments.json).await,
        None => everything(config).await,
    }
}

async fn readiness(config: &Path, slug: &Slug, json: bool) -> Done {
    let state = super::open(config).await?.state;
    let Some(biller) = state.directory.named(slug).await? else { bail!("there is no biller {slug}") };
    let card = state.enablement.readiness(&biller).await?;
    if json {
        say!("{}", serde_json::to_string(&card)?);
    } else {
        for line in &card.lines {
            say!("{:<5}  {:<18}  {}", line.level.as_str(), line.name, line.advice);
        }
    }
    if card.level == Level::Red {
        bail!("{slug} is not ready");
    }
    Ok(())
}

async fn everything(config: &Path) -> Done {
    let settings = super::load(config)?;
    say!("ok    settings: {}", config.display());
    let mut failures = 0;
    if settings.oidc.allow_loopback_issuers {
        say!(
            "warn  oidc.allow_loopback_issuers is on: issuers over http and on this machine are accepted. Turn it off outside of trials."
        );
    }
    if settings.server.public_url.scheme() != "https" {
        say!("warn  server.public_url is not https: browsers keep our cookies on localhost only.");
    }
    if settings.legacy.reset_url.is_none() {
        say!("warn  legacy.reset_url is missing: forgotten legacy passwords lead to the recovery page.");
    }
    let app = super::open(config).await?;
    say!("ok    database: reachable, schema up to date");
    let state = app.state;
    match state.mail.test().await {
        Some(true) => say!("ok    mail: the server answers"),
        Some(false) => {
            failures += 1;
            say!("fail  mail: the server does not answer, or refuses mail.username and mail.password.");
        }
        None => say!("warn  mail.server is missing: nobody is offered sign-in links by mail."),
    }
    let billers = state.directory.billers().await?;
    for mapped in state.config.legacy_paths.iter().filter_map(|mapped| mapped.biller.as_ref()) {
        if billers.by_slug(mapped).is_none() {
            failures += 1;
            say!("fail  legacy_paths: there is no biller {mapped}. Import it, or take the mapping out.");
        }
    }
    if let Kill::BillerLegacy(slug) = &state.config.routing.kill_switch
        && billers.by_slug(slug).is_none()
    {
        failures += 1;
        say!("fail  routing.kill_switch: there is no biller {slug}.");
    }
    for biller in billers.iter().filter(|biller| biller.state == CiamState::Active) {
        if biller.settings.oidc.as_ref().is_some_and(|oidc| oidc.bind_claim == "preferred_username") {
            say!(
                "warn  {}: users are bound by preferred_username. A claim with our user id is safer, where the provider can send one (oidc.bind_claim, oidc.bind_to).",
                biller.slug
            );
        }
        match registrations::probe(&state, biller).await {
            Ok(()) => say!("ok    {}: issuer and keys answer", biller.slug),
            Err(error) => {
                let reason = error.as_ref().map_or("no_registration", ProviderError::reason);
                failures += 1;
                say!("fail  {}: its issuer cannot be used ({reason}). {}", biller.slug, advice(reason));
            }
        }
    }
    if failures > 0 {
        bail!("{failures} thing(s) to mend");
    }
    Ok(())
}
