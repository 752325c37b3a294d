//! Not a row of its own: says which active billers count as legacy for this username.

use crate::Timestamp;
use crate::decision::biller::CiamState;
use crate::decision::choice::Evaluation;
use crate::decision::facts::{Facts, Membership};

pub(super) const DESCRIPTION: &str = "An active biller counts as legacy for a username that its activation date, allow \
     list or percentage excludes.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let excluded: Vec<String> = facts.memberships().iter().filter_map(|m| exclusion(m, facts.now)).collect();
    if excluded.is_empty() {
        return Evaluation::miss("No rollout excludes this username.");
    }
    Evaluation::Note(excluded.join(" "))
}

/// Why an active biller counts as legacy for this membership, if it does.
fn exclusion(membership: &Membership, now: Timestamp) -> Option<String> {
    let biller = &membership.biller;
    if biller.state != CiamState::Active || membership.is_ciam(now) {
        return None;
    }
    Some(match biller.active_from.filter(|from| *from > now) {
        Some(from) => format!("{} becomes active on {from}. Until then it counts as legacy.", biller.slug),
        None => format!(
            "The rollout of {} does not include this username ({}). The biller counts as legacy.",
            biller.slug,
            describe_rollout(membership)
        ),
    })
}

fn describe_rollout(membership: &Membership) -> String {
    let rollout = membership.biller.rollout;
    let list = rollout.allow_list.then(|| "not on the allow list".to_owned());
    let share = rollout.percent.map(|percent| format!("bucket {}, rollout {percent} %", membership.bucket));
    [list, share].into_iter().flatten().collect::<Vec<_>>().join("; ")
}
