//! `signpost check`: says what is wrong and what to do.

use std::path::Path;

use super::Done;
use crate::decision::{CiamState, Kill};
use crate::secureauth::ProviderError;
use crate::web::registrations;

pub(super) async fn run(config: &Path) -> Done {
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
        anyhow::bail!("{failures} thing(s) to mend");
    }
    Ok(())
}

fn advice(reason: &str) -> &'static str {
    match reason {
        "connect" | "timeout" | "server_error" => {
            "Check that the issuer's address is right and can be reached from here."
        }
        "discovery_issuer_mismatch" => "Write the issuer exactly as its discovery document does.",
        "discovery_foreign_endpoint" => "Name the host of its endpoints in oidc.extra_hosts, if it is theirs.",
        "discovery_algorithms" => "Set oidc.id_token_algs to what the provider signs with.",
        "private_address" => "The issuer's address is inside a private network, which is refused.",
        "no_registration" => {
            "Import the biller again: it has no registration, or its secret was sealed under a key that is gone."
        }
        "weak_key" | "private_key_published" => "The provider's keys are not safe; tell its operators.",
        _ => "Look at what its discovery address answers.",
    }
}
