//! Rules above the table: kill switch and hold (row 0), and a directory that cannot be read (row 9).

use super::facts::{Directory, DirectoryPolicy, EntryPoint, Facts, KillSwitchState};
use super::rules::Rule;
use super::trace::Trace;
use super::verdict::{Choice, Decision};
use crate::Slug;

/// Row 0: an operator's order. It works with the directory gone.
pub(super) fn kill_switch(facts: &Facts, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::KillSwitch;
    let named = named_slug(facts);
    match &facts.kill_switch {
        KillSwitchState::Off => {
            trace.miss(RULE, "The kill switch is off.");
            None
        }
        KillSwitchState::Hold => {
            trace.hit(RULE, "The kill switch holds all signing in.");
            Some(Choice::new(Decision::HoldPage, 0, named, RULE))
        }
        KillSwitchState::AllLegacy => {
            trace.hit(RULE, "The kill switch sends everybody to the legacy login.");
            Some(Choice::new(Decision::LegacyLogin, 0, named, RULE))
        }
        KillSwitchState::BillerLegacy(slug) => {
            let member = facts.memberships().iter().any(|m| m.biller.slug == *slug && !m.biller.private);
            if named == Some(slug) || (named.is_none() && member) {
                trace.hit(RULE, format!("The kill switch sends {slug} to the legacy login."));
                Some(Choice::new(Decision::LegacyLogin, 0, Some(slug), RULE))
            } else {
                trace.miss(RULE, format!("The kill switch is set for {slug}, which is not concerned here."));
                None
            }
        }
    }
}

/// Row 9: the directory cannot be read.
pub(super) fn directory_unavailable(facts: &Facts, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::DirectoryUnavailable;
    if facts.directory != Directory::Unavailable {
        trace.miss(RULE, "The directory was read.");
        return None;
    }
    let (decision, because) = match facts.directory_policy {
        DirectoryPolicy::Legacy => (Decision::LegacyLogin, "the configuration sends everybody to the legacy login."),
        DirectoryPolicy::Hold => (Decision::HoldPage, "the configuration holds signing in meanwhile."),
    };
    trace.hit(RULE, format!("The directory cannot be read, and {because}"));
    Some(Choice::new(decision, 9, named_slug(facts), RULE))
}

/// Row 0: one biller is held by an operator. A private biller is never revealed by a username, so it holds only its
/// own addresses.
pub(super) fn biller_hold(facts: &Facts, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::BillerHold;
    let paused_biller = match &facts.entry {
        EntryPoint::Named { .. } => facts.named().filter(|biller| biller.paused),
        EntryPoint::Shared => {
            facts.memberships().iter().map(|m| &m.biller).find(|biller| biller.paused && !biller.private)
        }
    };
    match paused_biller {
        Some(biller) => {
            trace.hit(RULE, format!("An operator holds {}.", biller.slug));
            Some(Choice::new(Decision::HoldPage, 0, Some(&biller.slug), RULE))
        }
        None => {
            trace.miss(RULE, "No biller concerned is held.");
            None
        }
    }
}

fn named_slug(facts: &Facts) -> Option<&Slug> {
    match &facts.entry {
        EntryPoint::Named { slug, .. } => Some(slug),
        EntryPoint::Shared => None,
    }
}
