//! Billers that this device remembers: offered first on the recovery page.

use super::facts::Facts;
use super::rules::Rule;
use super::trace::Trace;
use super::verdict::{Choice, Decision};
use crate::Slug;

/// Remembered billers, when the recovery page is shown.
pub(super) fn suggest_remembered_billers(facts: &Facts, choice: &Choice, trace: &mut Trace) -> Vec<Slug> {
    const RULE: Rule = Rule::RememberedBillers;
    if choice.decision != Decision::Recovery {
        trace.skip(RULE, "Not looked at: the recovery page is not shown.");
        return Vec::new();
    }
    if facts.remembered.is_empty() {
        trace.miss(RULE, "This device remembers no biller.");
        return Vec::new();
    }
    let names: Vec<&str> = facts.remembered.iter().map(Slug::as_str).collect();
    trace.hit(RULE, format!("The recovery page offers first what this device remembers: {}.", names.join(", ")));
    facts.remembered.clone()
}
