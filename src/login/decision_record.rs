//! Recording routing decisions.

use crate::audit::{LogEntry, Metric};
use crate::directory::Biller;
use crate::routing::{RoutingRequest, RoutingResult};
use crate::state::AppState;
use crate::telemetry::note_decision;
use signpost_core::ReferenceCode;
use signpost_core::decision::{Decision, EntryPoint};
use signpost_core::reference::CodeKind;

/// The biller of a decision, if it still exists.
pub(super) fn chosen_biller(result: &RoutingResult) -> Option<&Biller> {
    let slug = result.verdict.biller.as_ref()?;
    result.billers.by_slug(slug).map(|biller| &**biller)
}

/// Counts and records a decision, and returns its reference code. Addresses of unknown billers are not recorded, because anyone
/// can make them up by the thousand.
pub(super) fn record(state: &AppState, request: &RoutingRequest, result: &RoutingResult) -> ReferenceCode {
    let (verdict, decisions) = (&result.verdict, &state.decisions);
    state.metrics.record_decision(verdict.row, verdict.rule.as_str());
    note_decision(verdict.row, verdict.rule.as_str());
    if matches!(request.entry, EntryPoint::Named { .. }) && verdict.decision == Decision::Recovery {
        return decisions.page_code();
    }
    let metric = match (verdict.decision, &request.entry) {
        // A customer who comes from the notice has typed a username.
        (Decision::SecureauthLogin, _) if request.name.is_some() => Some(Metric::SharedEntrySignIn),
        (Decision::SecureauthLogin, _) => Some(Metric::BillerEntrySignIn),
        (Decision::BookmarkNotice, EntryPoint::Named { .. }) => Some(Metric::LegacyDeepLink),
        _ => None,
    };
    let entry = LogEntry {
        metric,
        biller: verdict.biller.as_ref().map(ToString::to_string),
        name: request.name.clone(),
        response: verdict.decision.response(),
        details: result.details(),
    };
    decisions.record(CodeKind::Row(verdict.row), entry)
}
