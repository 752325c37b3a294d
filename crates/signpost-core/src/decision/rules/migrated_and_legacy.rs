//! Row 4: one legacy biller and at least one migrated one.

use crate::decision::choice::{Destination, Evaluation};
use crate::decision::facts::Facts;
use crate::decision::split::MembershipSplit;

pub(super) const DESCRIPTION: &str = "The username has one legacy biller and at least one migrated one. The customer goes \
     to the legacy login, which links to the recovery page.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let split = MembershipSplit::of(facts);
    let ([_, ..], [only]) = (split.migrated.as_slice(), split.legacy.as_slice()) else {
        return Evaluation::miss(split.describe());
    };
    let slug = &only.biller.slug;
    let because = format!("{} Send the customer to the legacy login of {slug}.", split.describe());
    Evaluation::choose(Destination::LegacyLogin(Some(slug)), 4, because)
}
