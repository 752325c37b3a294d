//! Row 7: the address names a biller, so no username is needed.

use crate::Timestamp;
use crate::decision::biller::{Biller, CiamState};
use crate::decision::choice::{ChosenBiller, Destination, Evaluation};
use crate::decision::facts::{EntryPoint, Facts, Via};

pub(super) const DESCRIPTION: &str = "The address names a biller. If the biller is active, the customer signs in at its \
     SecureAuth login, otherwise at the legacy login. No username is needed.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    let EntryPoint::Named { slug, via } = &facts.entry else {
        return Evaluation::miss("The address does not name a biller.");
    };
    let Some(biller) = facts.named() else {
        let because = format!("The address names {slug}, which is not in the directory. Show the recovery page.");
        return Evaluation::choose(Destination::Recovery, 7, because);
    };
    let destination = match (biller.is_active(facts.now), via) {
        (true, Via::DeepLink) => Destination::BookmarkNotice(ChosenBiller::new(facts, biller)),
        (true, Via::VanityPath | Via::VanityHost) => Destination::SecureauthLogin(ChosenBiller::new(facts, biller)),
        (false, _) => Destination::LegacyLogin(Some(slug)),
    };
    let address = match via {
        Via::VanityPath => "The customer used the biller's own path.",
        Via::VanityHost => "The customer used the biller's own host.",
        Via::DeepLink => "The customer used a legacy address that is mapped to this biller.",
    };
    Evaluation::choose(destination, 7, format!("{address} {}", describe_state(biller, facts.now)))
}

fn describe_state(biller: &Biller, now: Timestamp) -> String {
    let slug = &biller.slug;
    match biller.state {
        CiamState::Legacy => format!("{slug} uses the legacy login."),
        CiamState::Enabling => {
            format!("{slug} is being migrated. It uses the legacy login until the job has finished.")
        }
        CiamState::Suspended => format!("{slug} is suspended."),
        CiamState::Active => match biller.active_from.filter(|from| *from > now) {
            Some(from) => format!("{slug} becomes active on {from}. Until then it uses the legacy login."),
            None => format!("{slug} is active."),
        },
    }
}
