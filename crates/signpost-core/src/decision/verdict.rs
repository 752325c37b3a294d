//! The output of a decision.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choice::Decision;
use super::rules::Rule;
use crate::Slug;

/// A decision with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Where the customer goes.
    pub decision: Decision,
    /// The row of the routing table, 0 to 9.
    pub row: u8,
    /// The biller that the response may name.
    pub biller: Option<Slug>,
    /// The last rule that decided where the customer goes.
    pub rule: Rule,
    /// Every rule, in order. Empty for a recorded decision that this version of Signpost would decide differently.
    pub trace: Vec<TraceStep>,
    /// Remembered billers that the recovery page offers first.
    #[serde(skip)]
    pub suggested_billers: Vec<Slug>,
    /// The username has two or more legacy billers. The directory should hold one at most.
    #[serde(skip)]
    pub integrity_alarm: bool,
}

/// Instead of a reason, for a recorded decision without a trace.
pub const NO_TRACE: &str = "Not available: another version of Signpost decided this, and this one decides differently.";

impl Verdict {
    /// The reason of the rule that decided. `None`: the verdict has no trace.
    pub fn because(&self) -> Option<&str> {
        self.trace.iter().find(|step| step.rule == self.rule).map(|step| step.because.as_str())
    }
}

/// One rule in the trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TraceStep {
    pub rule: Rule,
    pub outcome: RuleOutcome,
    /// The reason, as a sentence for support staff.
    pub because: String,
}

/// What a rule made of the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// The rule applied.
    Hit,
    /// The rule did not apply.
    Miss,
    /// The rule was not evaluated: an earlier rule had decided, or the rule does not concern this choice.
    NotEvaluated,
}
