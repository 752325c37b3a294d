//! What would change a decision. Each fact is changed by itself and decided again by the same function, so this file knows
//! facts, not rules.

use serde::Serialize;
use utoipa::ToSchema;

use super::biller::{Biller, CiamMode, CiamState, IssuerHealth, RolloutFacts};
use super::choice::Decision;
use super::decide::decide;
use super::facts::{Directory, Facts, Membership};
use super::kill_switch::KillSwitchState;
use super::verdict::Verdict;
use crate::Slug;

/// A change of one fact that would lead to another decision.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Counterfactual {
    /// The change, as the first half of a sentence: `if riverside-water were suspended`.
    pub change: String,
    /// Where the customer would go.
    pub decision: Decision,
    /// The row of the routing table that would apply.
    pub row: u8,
    /// The biller that the response could name.
    pub biller: Option<Slug>,
    /// The whole sentence.
    pub description: String,
}

/// Every change of one fact that would lead to another row, decision or biller. The facts are the kill switch, the
/// directory, the billers concerned, and the memberships.
pub fn counterfactuals(facts: &Facts) -> Vec<Counterfactual> {
    let verdict = decide(facts);
    let mut found = Vec::new();
    let mut evaluate = |change: String, changed_facts: &Facts| {
        let then = decide(changed_facts);
        let outcome = |verdict: &Verdict| (verdict.row, verdict.decision, verdict.biller.clone());
        if outcome(&then) != outcome(&verdict) {
            found.push(Counterfactual::new(change, then));
        }
    };
    for (change, kill_switch) in kill_switch_changes(facts) {
        evaluate(change, &Facts { kill_switch, ..facts.clone() });
    }
    if facts.directory != Directory::Unavailable {
        let changed_facts = Facts { directory: Directory::Unavailable, ..facts.clone() };
        evaluate("if the directory could not be read".to_owned(), &changed_facts);
    }
    for slug in concerned_billers(facts) {
        for (change, apply) in biller_changes(facts, &slug) {
            let mut changed_facts = facts.clone();
            for biller in changed_facts.billers_mut().filter(|biller| biller.slug == slug) {
                apply(biller);
            }
            evaluate(change, &changed_facts);
        }
        membership_changes(facts, &slug, &mut evaluate);
    }
    found
}

/// Changes of the user's membership at a biller: legacy account and rollout.
fn membership_changes(facts: &Facts, slug: &Slug, evaluate: &mut impl FnMut(String, &Facts)) {
    let Some(member) = facts.memberships().iter().find(|membership| membership.biller.slug == *slug) else { return };
    let with = |change: &dyn Fn(&mut Membership)| {
        let mut changed_facts = facts.clone();
        changed_facts.memberships_mut().iter_mut().filter(|m| m.biller.slug == *slug).for_each(change);
        changed_facts
    };
    let (has, is_in) = (member.legacy_account, member.in_rollout());
    let account = if has { "if the user had no" } else { "if the user had a" };
    evaluate(format!("{account} legacy account at {slug}"), &with(&|member| member.legacy_account = !has));
    if member.biller.state == CiamState::Active {
        let includes = if is_in { "excluded" } else { "included" };
        let changed_facts = with(&|member| {
            member.biller.rollout =
                if is_in { RolloutFacts { allow_list: true, percent: None } } else { RolloutFacts::default() };
            member.allow_listed = false;
        });
        evaluate(format!("if the rollout of {slug} {includes} this username"), &changed_facts);
    }
}

fn kill_switch_changes(facts: &Facts) -> Vec<(String, KillSwitchState)> {
    let all = [
        ("were off".to_owned(), KillSwitchState::Off),
        ("sent everyone to the legacy login".to_owned(), KillSwitchState::AllLegacy),
        ("paused all sign-ins".to_owned(), KillSwitchState::Hold),
    ];
    let single = concerned_billers(facts)
        .into_iter()
        .map(|slug| (format!("sent users of {slug} to the legacy login"), KillSwitchState::BillerLegacy(slug)));
    let others = all.into_iter().chain(single).filter(|(_, kill_switch)| *kill_switch != facts.kill_switch);
    others.map(|(what, kill_switch)| (format!("if the kill switch {what}"), kill_switch)).collect()
}

type BillerEdit = Box<dyn Fn(&mut Biller)>;

/// Changes of the facts of one biller.
fn biller_changes(facts: &Facts, slug: &Slug) -> Vec<(String, BillerEdit)> {
    let Some(biller) = facts.billers().find(|biller| biller.slug == *slug) else { return Vec::new() };
    let mut changes: Vec<(String, BillerEdit)> = Vec::new();
    let states = [(CiamState::Legacy, "legacy"), (CiamState::Active, "active"), (CiamState::Suspended, "suspended")];
    for (state, word) in states {
        let is_active = state == CiamState::Active && biller.is_active(facts.now);
        if !is_active && (state == CiamState::Active || state != biller.state) {
            let apply = move |biller: &mut Biller| {
                biller.state = state;
                biller.active_from = None;
            };
            changes.push((format!("if {slug} were {word}"), Box::new(apply)));
        }
    }
    let (word, other) = match biller.issuer {
        IssuerHealth::Up => ("were down", IssuerHealth::Down),
        IssuerHealth::Down => ("were up", IssuerHealth::Up),
    };
    let issuer = format!("if the identity provider of {slug} {word}");
    changes.push((issuer, Box::new(move |biller| biller.issuer = other)));
    if biller.maintenance.is_some_and(|window| window.contains(facts.now)) {
        let away = format!("if {slug} had no planned maintenance now");
        changes.push((away, Box::new(|biller| biller.maintenance = None)));
    }
    let (paused, word) = if biller.paused { (false, "not paused") } else { (true, "paused") };
    changes.push((format!("if {slug} were {word}"), Box::new(move |biller| biller.paused = paused)));
    for mode in CiamMode::ALL.into_iter().filter(|mode| biller.ciam_mode != Some(*mode)) {
        let text = format!("if the sign-in mode of {slug} were {}", mode.as_str());
        changes.push((text, Box::new(move |biller| biller.ciam_mode = Some(mode))));
    }
    changes
}

/// The billers in the facts, each once.
fn concerned_billers(facts: &Facts) -> Vec<Slug> {
    let mut slugs: Vec<Slug> = facts.billers().map(|biller| biller.slug.clone()).collect();
    if facts.directory == Directory::Unavailable {
        slugs.extend(facts.named_slug().cloned());
    }
    slugs.sort();
    slugs.dedup();
    slugs
}

impl Counterfactual {
    fn new(change: String, then: Verdict) -> Self {
        let Verdict { decision, row, biller, .. } = then;
        let whose = biller.as_ref().map_or_else(String::new, |slug| format!(" ({slug})"));
        let description = format!("{change}: {}{whose}, row {row}", decision.label());
        Self { change, decision, row, biller, description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn member(slug: &str, state: CiamState) -> Membership {
        Membership::new(Biller::new(Slug::parse(slug).unwrap(), state))
    }

    fn descriptions(memberships: Vec<Membership>) -> Vec<String> {
        let facts = Facts::at_shared(Timestamp::from_millis(0), memberships);
        counterfactuals(&facts).into_iter().map(|counterfactual| counterfactual.description).collect()
    }

    #[test]
    fn one_migrated_biller() {
        assert_eq!(
            descriptions(vec![member("riverside-water", CiamState::Active)]),
            [
                "if the kill switch sent everyone to the legacy login: the legacy login, row 0",
                "if the kill switch paused all sign-ins: the maintenance page, row 0",
                "if the kill switch sent users of riverside-water to the legacy login: the legacy login (riverside-water), row 0",
                "if the directory could not be read: the legacy login, row 9",
                "if riverside-water were legacy: the legacy login (riverside-water), row 3",
                "if riverside-water were suspended: the legacy login (riverside-water), row 3",
                "if the identity provider of riverside-water were down: the outage page (riverside-water), row 8",
                "if riverside-water were paused: the maintenance page (riverside-water), row 0",
                "if the rollout of riverside-water excluded this username: the legacy login (riverside-water), row 3",
            ]
        );
    }

    #[test]
    fn changes_without_effect_are_omitted() {
        let both = vec![member("oakdale-city", CiamState::Legacy), member("riverside-water", CiamState::Active)];
        let descriptions = descriptions(both);
        assert!(
            descriptions.contains(&"if oakdale-city were active: the recovery page, row 5".to_owned()),
            "{descriptions:?}"
        );
        assert!(
            !descriptions.iter().any(|text| text.contains("identity provider of riverside-water")),
            "{descriptions:?}"
        );
        assert!(!descriptions.iter().any(|text| text.contains("oakdale-city were suspended")), "{descriptions:?}");
    }

    #[test]
    fn a_suspended_biller_without_legacy_accounts() {
        let mut only = member("summit-telecom", CiamState::Suspended);
        only.legacy_account = false;
        let descriptions = descriptions(vec![only]);
        let account = "if the user had a legacy account at summit-telecom: the legacy login (summit-telecom), row 3";
        assert!(descriptions.contains(&account.to_owned()), "{descriptions:?}");
    }
}
