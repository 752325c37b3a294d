//! Row 5: two or more migrated billers and no legacy one.

use crate::decision::choice::{Destination, Evaluation};
use crate::decision::facts::Facts;
use crate::decision::split::MembershipSplit;

pub(super) const DESCRIPTION: &str = "The username has two or more migrated billers and no legacy one. The customer gets \
     the recovery page, which names none of them.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let split = MembershipSplit::of(facts);
    if split.migrated.len() < 2 {
        return Evaluation::miss(split.describe());
    }
    let because = format!("{} Only the customer knows which one they mean. Show the recovery page.", split.describe());
    Evaluation::choose(Destination::Recovery, 5, because)
}
