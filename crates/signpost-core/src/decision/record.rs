//! What a decision log keeps of a decision: the facts and the outcome. The trace follows from the facts.

use serde::{Deserialize, Serialize};

use super::choice::Decision;
use super::decide::decide;
use super::facts::Facts;
use super::rules::Rule;
use super::verdict::Verdict;
use crate::Slug;

/// The outcome of a decision, without the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub decision: Decision,
    pub row: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub biller: Option<Slug>,
    pub rule: Rule,
}

impl Outcome {
    /// Decides again, for the trace. If the rules have changed since and the outcome differs, the recorded outcome is
    /// returned with an empty trace.
    pub fn explain(&self, facts: &Facts) -> Verdict {
        let replayed = decide(facts);
        if Self::from(&replayed) == *self {
            return replayed;
        }
        Verdict {
            decision: self.decision,
            row: self.row,
            biller: self.biller.clone(),
            rule: self.rule,
            trace: Vec::new(),
            suggested_billers: Vec::new(),
            integrity_alarm: false,
        }
    }
}

impl From<&Verdict> for Outcome {
    fn from(verdict: &Verdict) -> Self {
        Self { decision: verdict.decision, row: verdict.row, biller: verdict.biller.clone(), rule: verdict.rule }
    }
}
