//! The routing decision: facts in, verdict out. A pure function without I/O, clock or errors.
//!
//! Only `routing` calls [`decide`]. The login pages, the API, the command line and the console all use `routing`, so a
//! simulation cannot differ from production. An outage is a fact here, not an error.
//!
//! To add a rule, write a file in `rules/`, add it to the list in `rules/mod.rs`, and add cases to `tests/decisions`. If the
//! rule needs a new fact, add it to [`Facts`] and to the generator in `tests/it/decisions.rs`; `routing` reads it. What-if
//! simulations and counterfactuals work on facts and need no change.

mod biller;
mod choice;
mod counterfactual;
mod decide;
mod defaults;
mod facts;
mod kill_switch;
mod record;
mod rules;
mod split;
mod verdict;

pub use biller::{
    Biller, CiamMode, CiamState, IssuerHealth, MaintenanceWindow, OutagePolicy, RolloutFacts, SuspensionPolicy,
};
pub use choice::Decision;
pub use counterfactual::{Counterfactual, counterfactuals};
pub use decide::decide;
pub use facts::{Directory, DirectoryPolicy, EntryPoint, Facts, Membership, Via, rollout_bucket};
pub use kill_switch::KillSwitchState;
pub use record::Outcome;
pub use rules::{RULES, Rule, RuleInfo};
pub use verdict::{NO_TRACE, RuleOutcome, TraceStep, Verdict};
