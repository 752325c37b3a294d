//! Sentences of the trace that several rules share.

use super::facts::{Biller, CiamState, Membership};
use crate::Timestamp;

/// `1 moved biller and no legacy biller`, and the like.
pub(super) fn membership_counts(ciam: usize, legacy: usize) -> String {
    format!("The username has {} and {}.", pluralize(ciam, "moved biller"), pluralize(legacy, "legacy biller"))
}

pub(super) fn pluralize(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

/// Why a biller that is not legacy counts as legacy for this membership, if it does.
pub(super) fn legacy_reason(membership: &Membership, now: Timestamp) -> Option<String> {
    let biller = &membership.biller;
    if biller.state != CiamState::Active || membership.is_ciam(now) {
        return None;
    }
    Some(match biller.active_from.filter(|from| *from > now) {
        Some(from) => format!("{} becomes active on {from}, so it still counts as legacy.", biller.slug),
        None => format!(
            "The rollout of {} has not reached this username ({}), so it counts as legacy.",
            biller.slug,
            describe_rollout(membership)
        ),
    })
}

fn describe_rollout(membership: &Membership) -> String {
    let rollout = membership.biller.rollout;
    let list = rollout.allow_list.then(|| "not on the allow-list".to_owned());
    let share = rollout.percent.map(|percent| format!("place {} of 100, {percent} are in", membership.bucket));
    [list, share].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The state of a biller as part of a sentence: `Riverside is active`.
pub(super) fn describe_state(biller: &Biller, now: Timestamp) -> String {
    match biller.state {
        CiamState::Legacy => format!("{} signs in at the legacy login.", biller.slug),
        CiamState::Enabling => {
            format!("{} is being enabled and signs in at the legacy login until that is done.", biller.slug)
        }
        CiamState::Suspended => format!("{} is suspended.", biller.slug),
        CiamState::Active => match biller.active_from.filter(|from| *from > now) {
            Some(from) => {
                format!("{} becomes active on {from}; until then it signs in at the legacy login.", biller.slug)
            }
            None => format!("{} is active.", biller.slug),
        },
    }
}
