//! The routing decision: facts in, verdict and trace out. A pure function: no I/O, no clock, no error.
//!
//! [`decide`] is called from one place, `routing`; login pages, API, command line and console all go through it, so that a
//! simulation cannot disagree with production. An outage is a fact here, not an error.

mod counterfactual;
mod explain;
mod facts;
mod legacy;
mod memberships;
mod named;
mod outages;
mod overrides;
mod remembered;
mod rules;
mod trace;
mod verdict;

pub use counterfactual::{Counterfactual, counterfactuals};
pub use facts::{
    Biller, CiamState, Directory, DirectoryPolicy, EntryPoint, Facts, IssuerHealth, KillSwitchState, MaintenanceWindow,
    Membership, OutagePolicy, RolloutFacts, SuspensionPolicy, Via, rollout_bucket,
};
pub use rules::{RULES, Rule, RuleInfo};
pub use trace::{RuleOutcome, TraceStep};
pub use verdict::{Decision, Verdict};

use trace::Trace;
use verdict::Choice;

/// Decides where the person goes.
///
/// The rules are looked at in the order of [`RULES`]; the first that hits chooses the place, and two safeguards then look
/// at the place chosen: nobody is sent to a legacy login without a legacy account, nor to an issuer that is away or down.
pub fn decide(facts: &Facts) -> Verdict {
    let mut trace = Trace::default();
    let choice = choose(facts, &mut trace);
    let choice = legacy::guard(facts, choice, &mut trace);
    let choice = outages::guard(facts, choice, &mut trace);
    let suggested_billers = remembered::suggest_remembered_billers(facts, &choice, &mut trace);
    choice.into_verdict(trace, suggested_billers)
}

fn choose(facts: &Facts, trace: &mut Trace) -> Choice {
    overrides::kill_switch(facts, trace)
        .or_else(|| overrides::directory_unavailable(facts, trace))
        .or_else(|| overrides::biller_hold(facts, trace))
        .or_else(|| named::named_biller(facts, trace))
        .unwrap_or_else(|| memberships::decide_by_memberships(facts, trace))
}
