//! Row 6: two or more legacy billers, which contradicts the assumption that a username has one at most.

use crate::decision::choice::{Choice, Destination, Evaluation};
use crate::decision::facts::Facts;
use crate::decision::split::MembershipSplit;

pub(super) const DESCRIPTION: &str = "The username has two or more legacy billers, which should not happen. The customer \
     goes to the legacy login, and Signpost raises an integrity alarm.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let split = MembershipSplit::of(facts);
    if split.legacy.len() < 2 {
        return Evaluation::miss(split.describe());
    }
    let choice = Choice { integrity_alarm: true, ..Choice::new(Destination::LegacyLogin(None), 6) };
    let because = format!(
        "{} A username should have one legacy biller at most. Send the customer to the legacy login.",
        split.describe()
    );
    Evaluation::Choose(choice, because)
}
