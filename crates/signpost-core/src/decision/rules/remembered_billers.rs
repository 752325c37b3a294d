//! Billers that this device remembers: the recovery page offers them first.

use crate::Slug;
use crate::decision::choice::{Choice, Decision, Evaluation};
use crate::decision::facts::Facts;

pub(super) const DESCRIPTION: &str = "The recovery page offers the billers first that this device remembers.";

pub(super) fn evaluate<'f>(facts: &'f Facts, choice: &Choice<'f>) -> Evaluation<'f> {
    if choice.destination.decision() != Decision::Recovery {
        return Evaluation::skip("Not evaluated: the recovery page is not shown.");
    }
    if facts.remembered.is_empty() {
        return Evaluation::miss("This device remembers no biller.");
    }
    let names: Vec<&str> = facts.remembered.iter().map(Slug::as_str).collect();
    Evaluation::Note(format!("This device remembers {}. Offer them first on the recovery page.", names.join(", ")))
}
