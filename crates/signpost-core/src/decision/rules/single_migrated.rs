//! Row 2: one migrated biller and no legacy one.

use crate::decision::choice::{ChosenBiller, Destination, Evaluation};
use crate::decision::facts::Facts;
use crate::decision::split::MembershipSplit;

pub(super) const DESCRIPTION: &str = "The username has one migrated biller and no legacy one. The customer gets the \
     bookmark notice, then the biller's SecureAuth login.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let split = MembershipSplit::of(facts);
    let [only] = split.migrated.as_slice() else {
        return Evaluation::miss(split.describe());
    };
    let because = format!(
        "The only biller of this username is {}, a migrated biller. Show its bookmark notice.",
        only.biller.slug
    );
    Evaluation::choose(Destination::BookmarkNotice(ChosenBiller::of_membership(only)), 2, because)
}
