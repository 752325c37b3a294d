//! The guard before the legacy login: no customer goes there without a legacy account.

use crate::decision::choice::{Choice, Decision, Destination, Evaluation};
use crate::decision::facts::{EntryPoint, Facts, Membership};

pub(super) const DESCRIPTION: &str = "Guard: no customer goes to the legacy login without a legacy account.";

pub(super) fn evaluate<'f>(facts: &'f Facts, choice: &Choice<'f>) -> Evaluation<'f> {
    if choice.destination.decision() != Decision::LegacyLogin {
        return Evaluation::skip("Not evaluated: the customer does not go to the legacy login.");
    }
    if choice.as_unknown_username {
        return Evaluation::skip("Not evaluated: the response must be that for an unknown username.");
    }
    match &facts.entry {
        EntryPoint::Named { .. } => check_named(facts, choice),
        EntryPoint::Shared => check_memberships(facts, choice),
    }
}

fn check_named<'f>(facts: &'f Facts, choice: &Choice<'f>) -> Evaluation<'f> {
    let Some(biller) = facts.named() else {
        return Evaluation::skip("Not evaluated: the biller is unknown.");
    };
    let slug = &biller.slug;
    let member = facts.memberships().iter().find(|membership| membership.biller.slug == *slug);
    let because = if biller.holds_while_suspended() {
        format!("{slug} is suspended, and its policy is the maintenance page.")
    } else if member.is_some_and(|membership| !membership.legacy_account) {
        format!("The user has no legacy account at {slug}. Show the maintenance page.")
    } else if !biller.legacy_accounts {
        format!("No user of {slug} has a legacy account. Show the maintenance page.")
    } else {
        return Evaluation::miss(format!("Users of {slug} have legacy accounts."));
    };
    Evaluation::choose(Destination::HoldPage(Some(slug)), choice.row, because)
}

fn check_memberships<'f>(facts: &'f Facts, choice: &Choice<'f>) -> Evaluation<'f> {
    let memberships = facts.memberships();
    if memberships.is_empty() {
        return Evaluation::skip("Not evaluated: the user is unknown.");
    }
    let slug = choice.destination.slug();
    // The kill switch accepts any account of the user. The other rules require one at a legacy biller.
    let is_usable = |m: &Membership| m.can_sign_in_at_legacy() && (choice.row == 0 || !m.is_ciam(facts.now));
    let is_concerned = |m: &Membership| choice.row != 0 || slug.is_none_or(|slug| m.biller.slug == *slug);
    if memberships.iter().any(|m| is_concerned(m) && is_usable(m)) {
        return Evaluation::miss("The user has a legacy account.");
    }
    // The maintenance page names its biller, and a username must not reveal a private one.
    let destination = match choice.row {
        0 | 3 if slug.is_none_or(|slug| facts.may_name(slug)) => Destination::HoldPage(slug),
        _ => Destination::Recovery,
    };
    let because = format!("The user has no usable legacy account. Show {}.", destination.decision().label());
    Evaluation::Choose(Choice { destination, ..*choice }, because)
}
