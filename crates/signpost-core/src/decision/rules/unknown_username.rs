//! Row 1: no user has this username.

use crate::decision::choice::{Destination, Evaluation};
use crate::decision::facts::Facts;
use crate::decision::split::MembershipSplit;

pub(super) const DESCRIPTION: &str = "The username is unknown. The customer goes to the legacy login, as in rows 3 and 4, so that the response reveals nothing.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    if facts.memberships().is_empty() {
        let because = "The username is unknown. Send the customer to the legacy login.";
        return Evaluation::choose(Destination::LegacyLogin(None), 1, because);
    }
    Evaluation::miss(MembershipSplit::of(facts).describe())
}
