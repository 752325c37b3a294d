//! The safeguard before the legacy login: nobody is sent there who has no account there.

use super::facts::{EntryPoint, Facts};
use super::rules::Rule;
use super::trace::Trace;
use super::verdict::{Choice, Decision};

const RULE: Rule = Rule::LegacyAccount;

pub(super) fn guard(facts: &Facts, choice: Choice, trace: &mut Trace) -> Choice {
    if choice.decision != Decision::LegacyLogin {
        trace.skip(RULE, "Not looked at: the person does not go to the legacy login.");
        return choice;
    }
    if choice.rule == Rule::PrivateBiller {
        trace.skip(RULE, "Not looked at: the answer must be that of an unknown username.");
        return choice;
    }
    match &facts.entry {
        EntryPoint::Named { .. } => guard_named(facts, choice, trace),
        EntryPoint::Shared => guard_memberships(facts, choice, trace),
    }
}

fn guard_named(facts: &Facts, choice: Choice, trace: &mut Trace) -> Choice {
    let Some(biller) = facts.named() else {
        trace.skip(RULE, "Not looked at: nothing is known of the biller.");
        return choice;
    };
    let slug = &biller.slug;
    let member = facts.memberships().iter().find(|membership| membership.biller.slug == *slug);
    if biller.holds_while_suspended() {
        trace.hit(RULE, format!("{slug} is suspended, and its users are held meanwhile."));
    } else if member.is_some_and(|membership| !membership.legacy_account) {
        trace.hit(RULE, format!("The person has no legacy account at {slug}: the hold page."));
    } else if !biller.legacy_accounts {
        trace.hit(RULE, format!("No user of {slug} has a legacy account: the hold page."));
    } else {
        trace.miss(RULE, format!("Users of {slug} have legacy accounts."));
        return choice;
    }
    Choice::new(Decision::HoldPage, choice.row, Some(slug), RULE)
}

fn guard_memberships(facts: &Facts, choice: Choice, trace: &mut Trace) -> Choice {
    let memberships = facts.memberships();
    if memberships.is_empty() {
        trace.skip(RULE, "Not looked at: nothing is known of the person.");
        return choice;
    }
    // By the kill switch any account will do; else it is the legacy memberships that count.
    let usable = |m: &&super::Membership| m.can_sign_in_at_legacy() && (choice.row == 0 || !m.is_ciam(facts.now));
    let concerned =
        |m: &&super::Membership| choice.row != 0 || choice.biller.as_ref().is_none_or(|slug| m.biller.slug == *slug);
    if memberships.iter().filter(concerned).any(|m| usable(&m)) {
        trace.miss(RULE, "The person has a legacy account.");
        return choice;
    }
    let integrity_alarm = choice.integrity_alarm;
    // A hold page names its biller, which a username must not do for a private one.
    let private = memberships.iter().any(|m| m.biller.private && choice.biller.as_ref() == Some(&m.biller.slug));
    let (decision, biller) = match choice.row {
        0 | 3 if !private => (Decision::HoldPage, choice.biller.as_ref()),
        _ => (Decision::Recovery, None),
    };
    trace.hit(RULE, format!("The person has no legacy account that works now: {}.", decision.label()));
    Choice { integrity_alarm, ..Choice::new(decision, choice.row, biller, RULE) }
}
