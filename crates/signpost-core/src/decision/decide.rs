use super::choice::{Choice, Decision, Destination, Evaluation};
use super::facts::Facts;
use super::rules::{Evaluate, RULES, Rule, RuleInfo};
use super::verdict::{RuleOutcome, TraceStep, Verdict};

/// Decides where the customer goes.
///
/// The choosing rules are evaluated in the order of [`RULES`] until one decides. The guards then check that choice and may
/// replace it: no customer goes to the legacy login without a legacy account, or to an identity provider that is down.
pub fn decide(facts: &Facts) -> Verdict {
    let mut trace = Vec::with_capacity(RULES.len());
    let (mut choice, mut rule) = choose(facts, &mut trace);
    for info in RULES {
        let Evaluate::Guard(evaluate) = info.evaluate else { continue };
        if let Some(replacement) = record(&mut trace, info, evaluate(facts, &choice)) {
            (choice, rule) = (replacement, info.rule);
        }
    }
    let decision = choice.destination.decision();
    Verdict {
        decision,
        row: choice.row,
        biller: choice.destination.slug().cloned(),
        rule,
        trace,
        suggested_billers: if decision == Decision::Recovery { facts.remembered.clone() } else { Vec::new() },
        integrity_alarm: choice.integrity_alarm,
    }
}

fn choose<'f>(facts: &'f Facts, trace: &mut Vec<TraceStep>) -> (Choice<'f>, Rule) {
    let mut decided: Option<(Choice<'f>, Rule)> = None;
    for info in RULES {
        let Evaluate::Choose(evaluate) = info.evaluate else { continue };
        let evaluation = match &decided {
            None => evaluate(facts),
            Some((_, rule)) => Evaluation::skip(format!("Not evaluated: {} decided.", rule.as_str())),
        };
        if let Some(choice) = record(trace, info, evaluation) {
            decided = Some((choice, info.rule));
        }
    }
    // The membership rules cover every case. If one ever slips through, it is treated as an unknown username.
    decided.unwrap_or_else(|| (Choice::new(Destination::LegacyLogin(None), 1), Rule::UnknownUsername))
}

fn record<'f>(trace: &mut Vec<TraceStep>, info: &RuleInfo, evaluation: Evaluation<'f>) -> Option<Choice<'f>> {
    let (outcome, because, choice) = match evaluation {
        Evaluation::Choose(choice, because) => (RuleOutcome::Hit, because, Some(choice)),
        Evaluation::Note(because) => (RuleOutcome::Hit, because, None),
        Evaluation::Miss(because) => (RuleOutcome::Miss, because, None),
        Evaluation::Skip(because) => (RuleOutcome::NotEvaluated, because, None),
    };
    trace.push(TraceStep { rule: info.rule, outcome, because });
    choice
}
