//! The facts of a decision, in words.

use super::pages::BillerFacts;
use signpost_core::Slug;
use signpost_core::decision::{
    Biller, Directory, DirectoryPolicy, EntryPoint, Facts, IssuerHealth, Membership, OutagePolicy, RolloutFacts,
    SuspensionPolicy, Via,
};

/// What concerns the whole arrival.
pub(super) fn lines(facts: &Facts) -> Vec<(&'static str, String)> {
    let entry = match &facts.entry {
        EntryPoint::Shared => "the shared sign-in page".to_owned(),
        EntryPoint::Named { slug, via: Via::VanityPath } => format!("the path of {slug}"),
        EntryPoint::Named { slug, via: Via::VanityHost } => format!("a host of {slug}"),
        EntryPoint::Named { slug, via: Via::DeepLink } => format!("an old address that is mapped to {slug}"),
    };
    let directory = match (&facts.directory, facts.directory_policy) {
        (Directory::Read { .. }, _) => "read",
        (Directory::Unavailable, DirectoryPolicy::Legacy) => "could not be read; the settings then say: legacy login",
        (Directory::Unavailable, DirectoryPolicy::Hold) => "could not be read; the settings then say: hold",
    };
    let remembered: Vec<&str> = facts.remembered.iter().map(Slug::as_str).collect();
    let remembered = if remembered.is_empty() { "none".to_owned() } else { remembered.join(", ") };
    vec![
        ("Moment", facts.now.to_string()),
        ("Entry", entry),
        ("Kill switch", facts.kill_switch.to_string()),
        ("Directory", directory.to_owned()),
        ("Remembered billers", remembered),
    ]
}

/// The billers concerned.
pub(super) fn billers(facts: &Facts) -> Vec<BillerFacts> {
    let named = facts.named().map(|biller| row(biller, "the address names it", String::new()));
    let members =
        facts.memberships().iter().map(|member| row(&member.biller, "the username belongs to it", of(member)));
    named.into_iter().chain(members).collect()
}

fn of(member: &Membership) -> String {
    let account = if member.legacy_account { "has a legacy account" } else { "has no legacy account" };
    let rollout = match member.biller.rollout {
        RolloutFacts { allow_list: false, percent: None } => "",
        _ if member.in_rollout() => "; the rollout has reached the username",
        _ => "; the rollout has not reached the username",
    };
    format!("the person {account}{rollout}; ")
}

fn row(biller: &Biller, why: &'static str, mut description: String) -> BillerFacts {
    description.push_str(match biller.issuer {
        IssuerHealth::Up => "issuer up",
        IssuerHealth::Down => "issuer down",
    });
    description.push_str(match biller.outage_policy {
        OutagePolicy::Hold => ", in an outage: hold",
        OutagePolicy::Legacy => ", in an outage: legacy login",
        OutagePolicy::Proceed => ", in an outage: go continue to the identity provider anyway",
    });
    if let Some(from) = biller.active_from {
        description.push_str(&format!("; active from {from} on"));
    }
    if let RolloutFacts { percent: Some(percent), .. } = biller.rollout {
        description.push_str(&format!("; rolled out to {percent} %"));
    }
    if let Some(window) = biller.maintenance {
        description.push_str(&format!("; maintenance from {} until {}", window.from, window.until));
    }
    for (is_so, text) in [
        (biller.paused, "; held by an operator"),
        (biller.private, "; private"),
        (!biller.legacy_accounts, "; without legacy accounts"),
        (biller.rollout.allow_list, "; with an allow-list"),
        (biller.when_suspended == SuspensionPolicy::Hold, "; while suspended: hold"),
    ] {
        if is_so {
            description.push_str(text);
        }
    }
    BillerFacts { slug: biller.slug.to_string(), why, state: biller.state.as_str(), description }
}
