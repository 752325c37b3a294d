//! Row 7: the address names a biller, so no username is asked.

use super::explain::describe_state;
use super::facts::{EntryPoint, Facts, Via};
use super::rules::Rule;
use super::trace::Trace;
use super::verdict::{Choice, Decision};

pub(super) fn named_biller(facts: &Facts, trace: &mut Trace) -> Option<Choice> {
    const RULE: Rule = Rule::NamedBiller;
    let EntryPoint::Named { slug, via } = &facts.entry else {
        trace.miss(RULE, "The address names no biller.");
        return None;
    };
    let Some(biller) = facts.named() else {
        trace.hit(RULE, format!("The address names {slug}, which the directory does not have: the recovery page."));
        return Some(Choice::new(Decision::Recovery, 7, None, RULE));
    };
    let decision = match (biller.is_active(facts.now), via) {
        (true, Via::DeepLink) => Decision::BookmarkNotice,
        (true, Via::VanityPath | Via::VanityHost) => Decision::SecureauthLogin,
        (false, _) => Decision::LegacyLogin,
    };
    let state = describe_state(biller, facts.now);
    let address_description = match via {
        Via::VanityPath => "The address is the biller's own path",
        Via::VanityHost => "The address is the biller's own host",
        Via::DeepLink => "An old address of the legacy site stands for this biller",
    };
    trace.hit(RULE, format!("{address_description}. {state}"));
    trace.skip(Rule::Rollout, "Not looked at: allow-list and percentage need a username, and none was asked.");
    Some(Choice::new(decision, 7, Some(slug), RULE))
}
