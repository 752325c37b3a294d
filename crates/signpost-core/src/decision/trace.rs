//! The record of which rules were looked at and what came of each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rules::{RULES, Rule};

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It applied.
    Hit,
    /// It was looked at and did not apply.
    Miss,
    /// It was not looked at: an earlier rule had settled the matter, or its facts were not asked for.
    NotEvaluated,
}

/// One rule in the trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TraceStep {
    /// The rule.
    pub rule: Rule,
    /// What came of it.
    pub outcome: RuleOutcome,
    /// Why, in a plain sentence.
    pub because: String,
}

/// Steps as they are taken; what is never recorded was not evaluated.
#[derive(Default)]
pub(super) struct Trace {
    steps: Vec<TraceStep>,
}

impl Trace {
    pub(super) fn hit(&mut self, rule: Rule, because: impl Into<String>) {
        self.steps.push(TraceStep { rule, outcome: RuleOutcome::Hit, because: because.into() });
    }

    pub(super) fn miss(&mut self, rule: Rule, because: impl Into<String>) {
        self.steps.push(TraceStep { rule, outcome: RuleOutcome::Miss, because: because.into() });
    }

    pub(super) fn skip(&mut self, rule: Rule, because: impl Into<String>) {
        self.steps.push(TraceStep { rule, outcome: RuleOutcome::NotEvaluated, because: because.into() });
    }

    /// Every rule once, in the order of [`RULES`].
    pub(super) fn into_steps(self) -> Vec<TraceStep> {
        let deciding_rule = self.steps.iter().rfind(|step| step.outcome == RuleOutcome::Hit).map(|step| step.rule);
        let mut taken = self.steps;
        RULES
            .iter()
            .map(|info| match taken.iter().position(|step| step.rule == info.rule) {
                Some(at) => taken.swap_remove(at),
                None => TraceStep {
                    rule: info.rule,
                    outcome: RuleOutcome::NotEvaluated,
                    because: match deciding_rule {
                        Some(rule) => format!("Not looked at: {} had settled the matter.", rule.as_str()),
                        None => "Not looked at.".to_owned(),
                    },
                },
            })
            .collect()
    }
}
