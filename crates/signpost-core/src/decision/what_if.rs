//! What would change a decision: the facts flipped one at a time, each decided anew by the same function.

use serde::Serialize;
use utoipa::ToSchema;

use super::decide;
use super::facts::{Biller, CiamState, Directory, Entry, Facts, IssuerHealth, Kill, Rollout};
use super::verdict::{Decision, Verdict};
use crate::Slug;

/// A fact that, were it otherwise, would lead elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct WhatIf {
    /// The fact, as the first half of a sentence: `if riverside-water were suspended`.
    pub change: String,
    /// Where the person would go then.
    pub decision: Decision,
    /// The row of the routing table then.
    pub row: u8,
    /// The biller concerned then; none where none may be named.
    pub biller: Option<Slug>,
    /// The whole sentence.
    pub says: String,
}

/// Every single fact that would lead to another row, destination or biller: the billers concerned, their issuers and
/// rollouts, legacy accounts, the kill switch and the directory.
pub fn what_would_change(facts: &Facts) -> Vec<WhatIf> {
    let verdict = decide(facts);
    let mut found = Vec::new();
    let mut tried = |change: String, otherwise: &Facts| {
        let then = decide(otherwise);
        let place = |verdict: &Verdict| (verdict.row, verdict.decision, verdict.biller.clone());
        if place(&then) != place(&verdict) {
            found.push(WhatIf::new(change, then));
        }
    };
    for (change, kill) in kills(facts) {
        tried(change, &Facts { kill, ..facts.clone() });
    }
    if facts.directory != Directory::Unavailable {
        let otherwise = Facts { directory: Directory::Unavailable, ..facts.clone() };
        tried("if the directory could not be read".to_owned(), &otherwise);
    }
    for slug in concerned(facts) {
        for (change, flip) in flips(facts, &slug) {
            let mut otherwise = facts.clone();
            for biller in otherwise.billers_mut().filter(|biller| biller.slug == slug) {
                flip(biller);
            }
            tried(change, &otherwise);
        }
        members(facts, &slug, &mut tried);
    }
    found
}

/// What concerns this person at this biller: legacy account and rollout.
fn members(facts: &Facts, slug: &Slug, tried: &mut impl FnMut(String, &Facts)) {
    let Some(member) = facts.memberships().iter().find(|membership| membership.biller.slug == *slug) else { return };
    let with = |change: &dyn Fn(&mut super::Membership)| {
        let mut otherwise = facts.clone();
        if let Directory::Read { memberships, .. } = &mut otherwise.directory {
            memberships.iter_mut().filter(|membership| membership.biller.slug == *slug).for_each(change);
        }
        otherwise
    };
    let (has, is_in) = (member.legacy_account, member.in_rollout());
    let account = if has { "if the person had no" } else { "if the person had a" };
    tried(format!("{account} legacy account at {slug}"), &with(&|member| member.legacy_account = !has));
    if member.biller.state == CiamState::Active {
        let reached = if is_in { "had not reached" } else { "had reached" };
        let otherwise = with(&|member| {
            member.biller.rollout =
                if is_in { Rollout { allow_list: true, percent: None } } else { Rollout::default() };
            member.allow_listed = false;
        });
        tried(format!("if the rollout of {slug} {reached} this username"), &otherwise);
    }
}

fn kills(facts: &Facts) -> Vec<(String, Kill)> {
    let all = [
        ("were off".to_owned(), Kill::Off),
        ("sent everybody to the legacy login".to_owned(), Kill::AllLegacy),
        ("held all signing in".to_owned(), Kill::Hold),
    ];
    let single =
        concerned(facts).into_iter().map(|slug| (format!("sent {slug} to the legacy login"), Kill::BillerLegacy(slug)));
    let others = all.into_iter().chain(single).filter(|(_, kill)| *kill != facts.kill);
    others.map(|(what, kill)| (format!("if the kill switch {what}"), kill)).collect()
}

type Flip = Box<dyn Fn(&mut Biller)>;

/// Other conditions of a biller than its present one.
fn flips(facts: &Facts, slug: &Slug) -> Vec<(String, Flip)> {
    let Some(biller) = facts.billers().find(|biller| biller.slug == *slug) else { return Vec::new() };
    let mut flips: Vec<(String, Flip)> = Vec::new();
    let states = [(CiamState::Legacy, "legacy"), (CiamState::Active, "active"), (CiamState::Suspended, "suspended")];
    for (state, word) in states {
        let is_active = state == CiamState::Active && biller.is_active(facts.now);
        if !is_active && (state == CiamState::Active || state != biller.state) {
            let flip = move |biller: &mut Biller| {
                biller.state = state;
                biller.active_from = None;
            };
            flips.push((format!("if {slug} were {word}"), Box::new(flip)));
        }
    }
    let (word, other) = match biller.issuer {
        IssuerHealth::Up => ("were down", IssuerHealth::Down),
        IssuerHealth::Down => ("answered", IssuerHealth::Up),
    };
    let issuer = format!("if the identity provider of {slug} {word}");
    flips.push((issuer, Box::new(move |biller| biller.issuer = other)));
    if biller.maintenance.is_some_and(|window| window.holds(facts.now)) {
        let away = format!("if no maintenance of {slug} were announced for now");
        flips.push((away, Box::new(|biller| biller.maintenance = None)));
    }
    let hold = !biller.hold;
    let held = if hold { "held" } else { "did not hold" };
    flips.push((format!("if an operator {held} {slug}"), Box::new(move |biller| biller.hold = hold)));
    flips
}

/// The billers that the facts tell of, each once.
fn concerned(facts: &Facts) -> Vec<Slug> {
    let mut slugs: Vec<Slug> = facts.billers().map(|biller| biller.slug.clone()).collect();
    if let (Entry::Named { slug, .. }, Directory::Unavailable) = (&facts.entry, &facts.directory) {
        slugs.push(slug.clone());
    }
    slugs.sort();
    slugs.dedup();
    slugs
}

impl WhatIf {
    fn new(change: String, then: Verdict) -> Self {
        let Verdict { decision, row, biller, .. } = then;
        let whose = biller.as_ref().map_or_else(String::new, |slug| format!(" ({slug})"));
        let says = format!("{change}: {}{whose}, row {row}", decision.in_words());
        Self { change, decision, row, biller, says }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::decision::Membership;

    fn member(slug: &str, state: CiamState) -> Membership {
        let biller = Biller {
            slug: Slug::parse(slug).unwrap(),
            state,
            active_from: None,
            hold: false,
            private: false,
            legacy_accounts: true,
            when_suspended: crate::decision::Suspension::Legacy,
            rollout: Rollout::default(),
            issuer: IssuerHealth::Up,
            maintenance: None,
            outage_policy: crate::decision::OutagePolicy::Hold,
        };
        Membership { biller, legacy_account: true, allow_listed: false, bucket: 0 }
    }

    fn says(memberships: Vec<Membership>) -> Vec<String> {
        let facts = Facts {
            now: Timestamp::from_millis(0),
            kill: Kill::Off,
            entry: Entry::Shared,
            directory: Directory::Read { named: None, memberships },
            directory_policy: crate::decision::DirectoryPolicy::Legacy,
            remembered: Vec::new(),
        };
        what_would_change(&facts).into_iter().map(|what_if| what_if.says).collect()
    }

    #[test]
    fn one_moved_biller() {
        assert_eq!(
            says(vec![member("riverside-water", CiamState::Active)]),
            [
                "if the kill switch sent everybody to the legacy login: the legacy login, row 0",
                "if the kill switch held all signing in: the hold page, row 0",
                "if the kill switch sent riverside-water to the legacy login: the legacy login (riverside-water), row 0",
                "if the directory could not be read: the legacy login, row 9",
                "if riverside-water were legacy: the legacy login (riverside-water), row 3",
                "if riverside-water were suspended: the legacy login (riverside-water), row 3",
                "if the identity provider of riverside-water were down: the outage page (riverside-water), row 8",
                "if an operator held riverside-water: the hold page (riverside-water), row 0",
                "if the rollout of riverside-water had not reached this username: the legacy login (riverside-water), row 3",
            ]
        );
    }

    #[test]
    fn what_would_change_nothing_is_not_told() {
        let both = vec![member("oakdale-city", CiamState::Legacy), member("riverside-water", CiamState::Active)];
        let told = says(both);
        assert!(told.contains(&"if oakdale-city were active: the recovery page, row 5".to_owned()), "{told:?}");
        assert!(!told.iter().any(|says| says.contains("identity provider of riverside-water")), "{told:?}");
        assert!(!told.iter().any(|says| says.contains("oakdale-city were suspended")), "{told:?}");
    }

    #[test]
    fn a_suspended_biller_without_legacy_accounts() {
        let mut only = member("summit-telecom", CiamState::Suspended);
        only.legacy_account = false;
        let told = says(vec![only]);
        let account = "if the person had a legacy account at summit-telecom: the legacy login (summit-telecom), row 3";
        assert!(told.contains(&account.to_owned()), "{told:?}");
    }
}
