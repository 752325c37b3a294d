//! Rows 1 to 6: by the memberships of the username typed.

use super::explain::{legacy_reason, membership_counts};
use super::facts::{Facts, Membership};
use super::rules::Rule;
use super::trace::Trace;
use super::verdict::{Choice, Decision};

pub(super) fn decide_by_memberships(facts: &Facts, trace: &mut Trace) -> Choice {
    let memberships = facts.memberships();
    rollout(facts, memberships, trace);
    let (ciam, legacy): (Vec<_>, Vec<_>) = memberships.iter().partition(|m| m.is_ciam(facts.now));
    let because = membership_counts(ciam.len(), legacy.len());
    let counts = MembershipCounts { ciam: &ciam, legacy: &legacy, because: &because };
    unknown_username(&counts, trace)
        .or_else(|| several_legacy(&counts, trace))
        .or_else(|| single_legacy(&counts, trace))
        .or_else(|| migrated_and_legacy(&counts, trace))
        .or_else(|| private_biller(&counts, trace))
        .or_else(|| several_migrated(&counts, trace))
        .unwrap_or_else(|| single_migrated(&counts, trace))
}

struct MembershipCounts<'m> {
    ciam: &'m [&'m Membership],
    legacy: &'m [&'m Membership],
    because: &'m str,
}

/// Not a row of its own: says which active billers count as legacy for this username.
fn rollout(facts: &Facts, memberships: &[Membership], trace: &mut Trace) {
    let not_in_rollout: Vec<String> = memberships.iter().filter_map(|m| legacy_reason(m, facts.now)).collect();
    if not_in_rollout.is_empty() {
        trace.miss(Rule::Rollout, "No active biller of this username is outside its rollout.");
    } else {
        trace.hit(Rule::Rollout, not_in_rollout.join(" "));
    }
}

fn unknown_username(counts: &MembershipCounts<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::UnknownUsername;
    if counts.ciam.is_empty() && counts.legacy.is_empty() {
        trace.hit(RULE, "Nobody has this username; it is answered like a legacy one.");
        return Some(Choice::new(Decision::LegacyLogin, 1, None, RULE));
    }
    trace.miss(RULE, counts.because);
    None
}

fn several_legacy(counts: &MembershipCounts<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::SeveralLegacy;
    if counts.legacy.len() >= 2 {
        trace.hit(RULE, format!("{} One legacy biller at most was expected.", counts.because));
        let choice = Choice::new(Decision::LegacyLogin, 6, None, RULE);
        return Some(Choice { integrity_alarm: true, ..choice });
    }
    trace.miss(RULE, counts.because);
    None
}

fn single_legacy(counts: &MembershipCounts<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::SingleLegacy;
    if let ([], [only]) = (counts.ciam, counts.legacy) {
        trace.hit(RULE, format!("The one biller of this username is {}, a legacy one for it.", only.biller.slug));
        return Some(Choice::new(Decision::LegacyLogin, 3, Some(&only.biller.slug), RULE));
    }
    trace.miss(RULE, counts.because);
    None
}

fn migrated_and_legacy(counts: &MembershipCounts<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::MigratedAndLegacy;
    if let [only] = counts.legacy {
        let because = format!("{} They are taken for a user of {}, the legacy one.", counts.because, only.biller.slug);
        trace.hit(RULE, because);
        return Some(Choice::new(Decision::LegacyLogin, 4, Some(&only.biller.slug), RULE));
    }
    trace.miss(RULE, counts.because);
    None
}

fn private_biller(counts: &MembershipCounts<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::PrivateBiller;
    if counts.ciam.iter().all(|m| m.biller.private) {
        trace.hit(RULE, format!("{} A private biller is never revealed by a name.", counts.because));
        let row = if counts.ciam.len() == 1 { 2 } else { 5 };
        return Some(Choice::new(Decision::LegacyLogin, row, None, RULE));
    }
    trace.miss(RULE, "Not all moved billers of this username are private.");
    None
}

fn several_migrated(counts: &MembershipCounts<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::SeveralMigrated;
    if counts.ciam.len() >= 2 {
        trace.hit(RULE, format!("{} Which one is meant, only the person can say.", counts.because));
        return Some(Choice::new(Decision::Recovery, 5, None, RULE));
    }
    trace.miss(RULE, counts.because);
    None
}

fn single_migrated(counts: &MembershipCounts<'_>, trace: &mut Trace) -> Choice {
    const RULE: Rule = Rule::SingleMigrated;
    let slug = counts.ciam.first().map(|only| &only.biller.slug);
    let name = slug.map_or("unknown", |slug| slug.as_str());
    trace.hit(RULE, format!("The one biller of this username is {name}, which has moved."));
    Choice::new(Decision::BookmarkNotice, 2, slug, RULE)
}
