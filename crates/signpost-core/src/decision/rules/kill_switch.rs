//! Row 0: the kill switch. It also works while the directory is unavailable.

use crate::decision::KillSwitchState;
use crate::decision::choice::{Destination, Evaluation};
use crate::decision::facts::Facts;

pub(super) const DESCRIPTION: &str = "The kill switch overrides every other rule. It sends everyone, or the users of one \
     biller, to the legacy login, or shows everyone the maintenance page.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let named = facts.named_slug();
    match &facts.kill_switch {
        KillSwitchState::Off => Evaluation::miss("The kill switch is off."),
        KillSwitchState::Hold => {
            let because = "The kill switch pauses all sign-ins. Show the maintenance page.";
            Evaluation::choose(Destination::HoldPage(named), 0, because)
        }
        KillSwitchState::AllLegacy => {
            let because = "The kill switch sends everyone to the legacy login.";
            Evaluation::choose(Destination::LegacyLogin(named), 0, because)
        }
        KillSwitchState::BillerLegacy(slug) => {
            if named == Some(slug) || facts.may_name(slug) {
                let because = format!("The kill switch sends users of {slug} to the legacy login.");
                Evaluation::choose(Destination::LegacyLogin(Some(slug)), 0, because)
            } else {
                Evaluation::miss(format!("The kill switch is set for {slug}. This customer is not affected."))
            }
        }
    }
}
