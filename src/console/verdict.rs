//! A verdict as staff read it: one line, why, every rule; on a page and as text for a ticket.

use std::fmt::Write;

use super::pages::{StepView, VerdictView};
use crate::directory::Billers;
use signpost_core::decision::{NO_TRACE, RuleOutcome, Verdict};

/// For a page.
pub(super) fn view(verdict: &Verdict, billers: &Billers) -> VerdictView {
    let slug = verdict.biller.as_ref();
    let name = slug.map(|slug| billers.by_slug(slug).map_or_else(|| slug.to_string(), |biller| biller.name.clone()));
    let destination = verdict.decision.label();
    let step = |step: &signpost_core::decision::TraceStep| StepView {
        rule: step.rule.as_str(),
        outcome: match step.outcome {
            RuleOutcome::Hit => "hit",
            RuleOutcome::Miss => "miss",
            RuleOutcome::NotEvaluated => "not evaluated",
        },
        because: step.because.clone(),
        is_deciding: step.rule == verdict.rule,
    };
    VerdictView {
        line: name.map_or_else(|| format!("Goes to: {destination}"), |name| format!("Goes to: {name} – {destination}")),
        row: verdict.row,
        rule: verdict.rule.as_str(),
        because: verdict.because().unwrap_or(NO_TRACE).to_owned(),
        steps: verdict.trace.iter().map(step).collect(),
    }
}

/// For a ticket: `head` lines first, each a name and what stands behind it.
pub(super) fn text(
    view: &VerdictView,
    head: &[(&str, String)],
    would_change: &[String],
    tail: &[(&str, String)],
) -> String {
    let mut out = String::new();
    for (name, value) in head {
        let _ = writeln!(out, "{name}: {value}");
    }
    let _ = writeln!(out, "{}", view.line);
    let _ = writeln!(out, "Because: {}", view.because);
    let _ = writeln!(out, "Row {} of the routing table, rule {}", view.row, view.rule);
    if !would_change.is_empty() {
        let _ = writeln!(out, "\nWhat would change the decision:");
        for sentence in would_change {
            let _ = writeln!(out, "- {sentence}");
        }
    }
    let _ = writeln!(out, "\nRules:");
    for step in &view.steps {
        let _ = writeln!(out, "- {} ({}): {}", step.rule, step.outcome, step.because);
    }
    for (name, value) in tail {
        let _ = writeln!(out, "\n{name}: {value}");
    }
    out
}
