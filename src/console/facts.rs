//! The facts of a decision as text.

use super::pages::BillerFacts;
use signpost_core::Slug;
use signpost_core::decision::{
    Biller, Directory, DirectoryPolicy, EntryPoint, Facts, IssuerHealth, Membership, OutagePolicy, RolloutFacts,
    SuspensionPolicy, Via,
};

/// Facts about the request.
pub(super) fn lines(facts: &Facts) -> Vec<(&'static str, String)> {
    let entry = match &facts.entry {
        EntryPoint::Shared => "shared sign-in page".to_owned(),
        EntryPoint::Named { slug, via: Via::VanityPath } => format!("vanity path of {slug}"),
        EntryPoint::Named { slug, via: Via::VanityHost } => format!("vanity host of {slug}"),
        EntryPoint::Named { slug, via: Via::DeepLink } => format!("legacy deep link to {slug}"),
    };
    let directory = match (&facts.directory, facts.directory_policy) {
        (Directory::Read { .. }, _) => "read",
        (Directory::Unavailable, DirectoryPolicy::Legacy) => "unavailable; policy: legacy login",
        (Directory::Unavailable, DirectoryPolicy::Hold) => "unavailable; policy: hold",
    };
    let remembered: Vec<&str> = facts.remembered.iter().map(Slug::as_str).collect();
    let remembered = if remembered.is_empty() { "none".to_owned() } else { remembered.join(", ") };
    vec![
        ("Time", facts.now.to_string()),
        ("Entry point", entry),
        ("Kill switch", facts.kill_switch.to_string()),
        ("Directory", directory.to_owned()),
        ("Remembered billers", remembered),
    ]
}

/// The billers concerned.
pub(super) fn billers(facts: &Facts) -> Vec<BillerFacts> {
    let named = facts.named().map(|biller| row(biller, "named by the entry point", String::new()));
    let members =
        facts.memberships().iter().map(|member| row(&member.biller, "membership of the username", of(member)));
    named.into_iter().chain(members).collect()
}

fn of(member: &Membership) -> String {
    let account = if member.legacy_account { "has a legacy account" } else { "has no legacy account" };
    let rollout = match member.biller.rollout {
        RolloutFacts { allow_list: false, percent: None } => "",
        _ if member.in_rollout() => "; in the rollout",
        _ => "; not in the rollout",
    };
    format!("user {account}{rollout}; ")
}

fn row(biller: &Biller, why: &'static str, mut description: String) -> BillerFacts {
    description.push_str(match biller.issuer {
        IssuerHealth::Up => "issuer up",
        IssuerHealth::Down => "issuer down",
    });
    description.push_str(match biller.outage_policy {
        OutagePolicy::Hold => ", outage policy: hold",
        OutagePolicy::Legacy => ", outage policy: legacy login",
        OutagePolicy::Proceed => ", outage policy: proceed",
    });
    if let Some(from) = biller.active_from {
        description.push_str(&format!("; active from {from}"));
    }
    if let RolloutFacts { percent: Some(percent), .. } = biller.rollout {
        description.push_str(&format!("; rollout {percent}%"));
    }
    if let Some(window) = biller.maintenance {
        description.push_str(&format!("; maintenance from {} until {}", window.from, window.until));
    }
    for (is_so, text) in [
        (biller.paused, "; paused by an operator"),
        (biller.private, "; private"),
        (!biller.legacy_accounts, "; no legacy accounts"),
        (biller.rollout.allow_list, "; allow list"),
        (biller.when_suspended == SuspensionPolicy::Hold, "; if suspended: maintenance page"),
    ] {
        if is_so {
            description.push_str(text);
        }
    }
    BillerFacts { slug: biller.slug.to_string(), why, state: biller.state.as_str(), description }
}
