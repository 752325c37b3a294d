//! Row 3: one legacy biller and no migrated one.

use crate::decision::choice::{Destination, Evaluation};
use crate::decision::facts::Facts;
use crate::decision::split::MembershipSplit;

pub(super) const DESCRIPTION: &str =
    "The username has one legacy biller and no migrated one. The customer goes to the legacy login.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let split = MembershipSplit::of(facts);
    if let ([], [only]) = (split.migrated.as_slice(), split.legacy.as_slice()) {
        let slug = &only.biller.slug;
        let because = format!(
            "The only biller of this username is {slug}, a legacy biller. Send the customer to the legacy login."
        );
        return Evaluation::choose(Destination::LegacyLogin(Some(slug)), 3, because);
    }
    Evaluation::miss(split.describe())
}
