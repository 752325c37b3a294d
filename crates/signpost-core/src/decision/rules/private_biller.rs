//! Rows 2 and 5 for private billers: a username never reveals one.

use crate::decision::choice::{Choice, Destination, Evaluation};
use crate::decision::facts::Facts;
use crate::decision::split::MembershipSplit;

pub(super) const DESCRIPTION: &str =
    "All migrated billers of the username are private. The response is that for an unknown username.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let split = MembershipSplit::of(facts);
    if !split.migrated.iter().all(|m| m.biller.private) {
        return Evaluation::miss("Not all migrated billers of this username are private.");
    }
    let row = if split.migrated.len() == 1 { 2 } else { 5 };
    let choice = Choice { as_unknown_username: true, ..Choice::new(Destination::LegacyLogin(None), row) };
    let because =
        format!("{} A username must not reveal a private biller. Respond as to an unknown username.", split.describe());
    Evaluation::Choose(choice, because)
}
