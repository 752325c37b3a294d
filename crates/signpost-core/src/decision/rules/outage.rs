//! What both outage rules share: the biller's outage policy.

use crate::decision::biller::OutagePolicy;
use crate::decision::choice::{Choice, ChosenBiller, Destination, Evaluation};

pub(super) const NO_PROVIDER: &str = "Not evaluated: the customer does not go to an identity provider.";

/// Row 8, by the biller's policy. `cause` is the first sentence of the reason.
pub(super) fn apply_policy<'f>(chosen: ChosenBiller<'f>, choice: &Choice<'f>, cause: &str) -> Evaluation<'f> {
    let outage_page = Destination::OutagePage(&chosen.biller.slug);
    let (destination, policy) = match chosen.biller.outage_policy {
        OutagePolicy::Hold => (outage_page, "The biller's policy is the outage page."),
        OutagePolicy::Proceed => {
            (choice.destination, "The biller's policy is to continue to the identity provider anyway.")
        }
        OutagePolicy::Legacy if chosen.legacy_account => (
            Destination::LegacyLogin(Some(&chosen.biller.slug)),
            "The biller's policy is the legacy login, and the user has an account there.",
        ),
        OutagePolicy::Legacy => (
            outage_page,
            "The biller's policy is the legacy login, but the user has no account there. Show the outage page.",
        ),
    };
    Evaluation::choose(destination, 8, format!("{cause} {policy}"))
}
