//! The memberships of a username, split into migrated and legacy ones.

use super::facts::{Facts, Membership};

/// A biller whose rollout excludes the username counts as legacy.
pub(super) struct MembershipSplit<'f> {
    pub migrated: Vec<&'f Membership>,
    pub legacy: Vec<&'f Membership>,
}

impl<'f> MembershipSplit<'f> {
    pub(super) fn of(facts: &'f Facts) -> Self {
        let (migrated, legacy) = facts.memberships().iter().partition(|membership| membership.is_ciam(facts.now));
        Self { migrated, legacy }
    }

    /// Such as `The username has 1 migrated biller and no legacy biller.`
    pub(super) fn describe(&self) -> String {
        let (migrated, legacy) = (self.migrated.len(), self.legacy.len());
        format!(
            "The username has {} and {}.",
            pluralize(migrated, "migrated biller"),
            pluralize(legacy, "legacy biller")
        )
    }
}

fn pluralize(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}
