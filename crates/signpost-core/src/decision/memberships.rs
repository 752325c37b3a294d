//! Rows 1 to 6: by the memberships of the username typed.

use super::explain::{counted_as_legacy, counts};
use super::facts::{Facts, Membership};
use super::rules::Rule;
use super::trace::Trace;
use super::verdict::{Choice, Decision};

pub(super) fn by_memberships(facts: &Facts, trace: &mut Trace) -> Choice {
    let memberships = facts.memberships();
    rollout(facts, memberships, trace);
    let (ciam, legacy): (Vec<_>, Vec<_>) = memberships.iter().partition(|m| m.is_ciam(facts.now));
    let counted = counts(ciam.len(), legacy.len());
    let arrivals = Counted { ciam: &ciam, legacy: &legacy, because: &counted };
    unknown_username(&arrivals, trace)
        .or_else(|| several_legacy(&arrivals, trace))
        .or_else(|| single_legacy(&arrivals, trace))
        .or_else(|| moved_and_legacy(&arrivals, trace))
        .or_else(|| private_biller(&arrivals, trace))
        .or_else(|| several_moved(&arrivals, trace))
        .unwrap_or_else(|| single_moved(&arrivals, trace))
}

struct Counted<'m> {
    ciam: &'m [&'m Membership],
    legacy: &'m [&'m Membership],
    because: &'m str,
}

/// Not a row of its own: says which active billers count as legacy for this username.
fn rollout(facts: &Facts, memberships: &[Membership], trace: &mut Trace) {
    let left_out: Vec<String> = memberships.iter().filter_map(|m| counted_as_legacy(m, facts.now)).collect();
    if left_out.is_empty() {
        trace.miss(Rule::Rollout, "No active biller of this username is outside its rollout.");
    } else {
        trace.hit(Rule::Rollout, left_out.join(" "));
    }
}

fn unknown_username(counted: &Counted<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::UnknownUsername;
    if counted.ciam.is_empty() && counted.legacy.is_empty() {
        trace.hit(RULE, "Nobody has this username; it is answered like a legacy one.");
        return Some(Choice::new(Decision::LegacyLogin, 1, None, RULE));
    }
    trace.miss(RULE, counted.because);
    None
}

fn several_legacy(counted: &Counted<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::SeveralLegacy;
    if counted.legacy.len() >= 2 {
        trace.hit(RULE, format!("{} One legacy biller at most was expected.", counted.because));
        let choice = Choice::new(Decision::LegacyLogin, 6, None, RULE);
        return Some(Choice { integrity_alarm: true, ..choice });
    }
    trace.miss(RULE, counted.because);
    None
}

fn single_legacy(counted: &Counted<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::SingleLegacy;
    if let ([], [only]) = (counted.ciam, counted.legacy) {
        trace.hit(RULE, format!("The one biller of this username is {}, a legacy one for it.", only.biller.slug));
        return Some(Choice::new(Decision::LegacyLogin, 3, Some(&only.biller.slug), RULE));
    }
    trace.miss(RULE, counted.because);
    None
}

fn moved_and_legacy(counted: &Counted<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::MovedAndLegacy;
    if let [only] = counted.legacy {
        let because = format!("{} They are taken for a user of {}, the legacy one.", counted.because, only.biller.slug);
        trace.hit(RULE, because);
        return Some(Choice::new(Decision::LegacyLogin, 4, Some(&only.biller.slug), RULE));
    }
    trace.miss(RULE, counted.because);
    None
}

fn private_biller(counted: &Counted<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::PrivateBiller;
    if counted.ciam.iter().all(|m| m.biller.private) {
        trace.hit(RULE, format!("{} A private biller is never revealed by a name.", counted.because));
        let row = if counted.ciam.len() == 1 { 2 } else { 5 };
        return Some(Choice::new(Decision::LegacyLogin, row, None, RULE));
    }
    trace.miss(RULE, "Not all moved billers of this username are private.");
    None
}

fn several_moved(counted: &Counted<'_>, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::SeveralMoved;
    if counted.ciam.len() >= 2 {
        trace.hit(RULE, format!("{} Which one is meant, only the person can say.", counted.because));
        return Some(Choice::new(Decision::Recovery, 5, None, RULE));
    }
    trace.miss(RULE, counted.because);
    None
}

fn single_moved(counted: &Counted<'_>, trace: &mut Trace) -> Choice {
    const RULE: Rule = Rule::SingleMoved;
    let slug = counted.ciam.first().map(|only| &only.biller.slug);
    let name = slug.map_or("unknown", |slug| slug.as_str());
    trace.hit(RULE, format!("The one biller of this username is {name}, which has moved."));
    Choice::new(Decision::BookmarkNotice, 2, slug, RULE)
}
