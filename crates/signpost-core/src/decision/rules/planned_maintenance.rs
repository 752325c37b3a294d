//! Row 8, a guard: the identity provider of the chosen biller has planned maintenance now.

use super::outage;
use crate::decision::choice::{Choice, Evaluation};
use crate::decision::facts::Facts;

pub(super) const DESCRIPTION: &str = "Guard: the identity provider of the chosen biller has planned maintenance now. The \
     biller's policy chooses the outage page with date and time, the legacy login, or the identity provider anyway.";

pub(super) fn evaluate<'f>(facts: &'f Facts, choice: &Choice<'f>) -> Evaluation<'f> {
    let Some(chosen) = choice.destination.provider() else { return Evaluation::skip(outage::NO_PROVIDER) };
    let slug = &chosen.biller.slug;
    let Some(window) = chosen.biller.maintenance.filter(|window| window.until > facts.now) else {
        return Evaluation::miss(format!("No maintenance of the identity provider of {slug} is planned."));
    };
    let maintenance =
        format!("The identity provider of {slug} has planned maintenance from {} until {}.", window.from, window.until);
    if window.contains(facts.now) {
        outage::apply_policy(chosen, choice, &maintenance)
    } else {
        Evaluation::Miss(maintenance)
    }
}
