//! Row 0: an operator paused a biller.

use crate::decision::choice::{Destination, Evaluation};
use crate::decision::facts::Facts;

pub(super) const DESCRIPTION: &str =
    "An operator paused the biller. Its users and its addresses get the maintenance page.";

/// A username must not reveal a private biller, so a paused private biller pauses only its own addresses.
pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    match facts.nameable_billers().find(|biller| biller.paused) {
        Some(biller) => {
            let because = format!("An operator paused {}. Show the maintenance page.", biller.slug);
            Evaluation::choose(Destination::HoldPage(Some(&biller.slug)), 0, because)
        }
        None => Evaluation::miss("No operator paused a biller of this customer."),
    }
}
