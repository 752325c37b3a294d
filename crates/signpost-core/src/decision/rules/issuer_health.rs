//! Row 8, a guard: the identity provider of the chosen biller is down.

use super::outage;
use crate::decision::biller::IssuerHealth;
use crate::decision::choice::{Choice, Evaluation};
use crate::decision::facts::Facts;

pub(super) const DESCRIPTION: &str = "Guard: the identity provider of the chosen biller is down. The biller's policy \
     chooses the outage page, the legacy login, or the identity provider anyway.";

pub(super) fn evaluate<'f>(_: &'f Facts, choice: &Choice<'f>) -> Evaluation<'f> {
    if choice.row == 8 {
        return Evaluation::skip("Not evaluated: planned_maintenance already applied the biller's policy.");
    }
    let Some(chosen) = choice.destination.provider() else { return Evaluation::skip(outage::NO_PROVIDER) };
    let slug = &chosen.biller.slug;
    match chosen.biller.issuer {
        IssuerHealth::Up => Evaluation::miss(format!("The identity provider of {slug} is up.")),
        IssuerHealth::Down => {
            outage::apply_policy(chosen, choice, &format!("The identity provider of {slug} is down."))
        }
    }
}
