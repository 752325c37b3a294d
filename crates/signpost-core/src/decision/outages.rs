//! Row 8, a safeguard: the identity provider of the biller chosen is away, as announced, or down.

use super::facts::{Biller, Facts, IssuerHealth, MaintenanceWindow, OutagePolicy};
use super::rules::Rule;
use super::trace::Trace;
use super::verdict::{Choice, Decision};
use crate::Slug;

pub(super) fn guard(facts: &Facts, choice: Choice, trace: &mut Trace) -> Choice {
    let mut skip = |because: &str| {
        trace.skip(Rule::PlannedMaintenance, because);
        trace.skip(Rule::IssuerHealth, because);
    };
    if !matches!(choice.decision, Decision::BookmarkNotice | Decision::SecureauthLogin) {
        skip("Not looked at: the person does not go to an identity provider.");
        return choice;
    }
    let Some((biller, legacy_account)) = chosen_biller(facts, choice.biller.as_ref()) else {
        skip("Not looked at: no biller was chosen.");
        return choice;
    };
    let slug = &biller.slug;
    let (decision, because) = apply_policy(biller, legacy_account, choice.decision);
    let now = match biller.maintenance {
        Some(window) if window.contains(facts.now) => {
            let MaintenanceWindow { from, until } = window;
            let because = format!(
                "The identity provider of {slug} is away from {from} until {until}, as announced, and {because}"
            );
            trace.hit(Rule::PlannedMaintenance, because);
            return Choice::new(decision, 8, Some(slug), Rule::PlannedMaintenance);
        }
        Some(window) if window.from > facts.now => {
            format!(
                "The identity provider of {slug} is announced to be away from {} until {}.",
                window.from, window.until
            )
        }
        _ => format!("No maintenance of the identity provider of {slug} is announced."),
    };
    trace.miss(Rule::PlannedMaintenance, now);
    if biller.issuer == IssuerHealth::Up {
        trace.miss(Rule::IssuerHealth, format!("The identity provider of {slug} answers."));
        return choice;
    }
    trace.hit(Rule::IssuerHealth, format!("The identity provider of {slug} is down, and {because}"));
    Choice::new(decision, 8, Some(slug), Rule::IssuerHealth)
}

fn apply_policy(biller: &Biller, legacy_account: bool, chosen: Decision) -> (Decision, &'static str) {
    match biller.outage_policy {
        OutagePolicy::Hold => (Decision::OutagePage, "its policy is to hold: the outage page."),
        OutagePolicy::Proceed => (chosen, "its policy is to proceed all the same."),
        OutagePolicy::Legacy if legacy_account => {
            (Decision::LegacyLogin, "its policy is the legacy login, where this person has an account.")
        }
        OutagePolicy::Legacy => {
            (Decision::OutagePage, "its policy is the legacy login, but no legacy account exists: the outage page.")
        }
    }
}

/// The biller chosen, and whether the person (or, unknown, any of its users) has a legacy account there.
fn chosen_biller<'f>(facts: &'f Facts, slug: Option<&Slug>) -> Option<(&'f Biller, bool)> {
    let slug = slug?;
    if let Some(membership) = facts.memberships().iter().find(|m| m.biller.slug == *slug) {
        return Some((&membership.biller, membership.can_sign_in_at_legacy()));
    }
    let named = facts.named().filter(|biller| biller.slug == *slug)?;
    Some((named, named.legacy_accounts))
}
