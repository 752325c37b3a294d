//! Support looks up a reference code. Every lookup is an audit event.

use std::collections::BTreeSet;

use super::store::{self, LookupResult, StoredEntry};
use super::{Action, ActorContext, AuditEvent, DecisionLog};
use crate::db::DbError;
use signpost_core::decision::{EntryPoint, Facts, KillSwitchState, Verdict};
use signpost_core::{ReferenceCode, Slug};

/// Longer input is cut off in the audit event.
const MAX_CODE_LENGTH: usize = 40;

impl DecisionLog {
    /// Finds the decision record of a code as typed, and records an audit event even if there is none.
    ///
    /// `biller_scope` are the billers that the actor may see; `None`: all. For a record without a biller, or with a biller out
    /// of scope, the result is that for an unknown code.
    ///
    /// # Errors
    /// If the audit event cannot be written, the record is not returned.
    pub async fn look_up(
        &self,
        input: &str,
        biller_scope: Option<&[Slug]>,
        actor: &ActorContext,
    ) -> Result<LookupResult, DbError> {
        let code = ReferenceCode::parse(input);
        let found = match &code {
            Some(code) => {
                self.flush().await;
                store::find(&self.db, code, &self.code_key).await?
            }
            None => LookupResult::UnknownCode,
        };
        let found = if is_visible(&found, biller_scope) { found } else { LookupResult::UnknownCode };
        let subject = code.map_or_else(|| input.chars().take(MAX_CODE_LENGTH).collect(), |code| code.to_string());
        let event = AuditEvent::new(Action::CodeLookedUp)
            .about(&subject)
            .with("found", !matches!(found, LookupResult::UnknownCode));
        let event = match &found {
            LookupResult::Recorded(entry) => match entry.biller.as_deref().and_then(|slug| Slug::parse(slug).ok()) {
                Some(slug) => event.at(&slug),
                None => event,
            },
            _ => event,
        };
        actor.record_alone(&self.db, event).await?;
        Ok(found)
    }
}

fn is_visible(found: &LookupResult, biller_scope: Option<&[Slug]>) -> bool {
    let (Some(biller_scope), LookupResult::Recorded(entry)) = (biller_scope, found) else {
        return biller_scope.is_none();
    };
    let concerned = concerned_billers(entry);
    !concerned.is_empty() && concerned.iter().all(|slug| biller_scope.iter().any(|own| own.as_str() == slug))
}

/// Every biller that a record mentions.
fn concerned_billers(entry: &StoredEntry) -> BTreeSet<String> {
    let mut slugs: BTreeSet<String> = entry.biller.iter().cloned().collect();
    if let Ok(facts) = serde_json::from_value::<Facts>(entry.details["facts"].clone()) {
        slugs.extend(facts.billers().map(|biller| biller.slug.to_string()));
        slugs.extend(facts.remembered.iter().map(ToString::to_string));
        if let EntryPoint::Named { slug, .. } = &facts.entry {
            slugs.insert(slug.to_string());
        }
        if let KillSwitchState::BillerLegacy(slug) = &facts.kill_switch {
            slugs.insert(slug.to_string());
        }
    }
    if let Ok(verdict) = serde_json::from_value::<Verdict>(entry.details["verdict"].clone()) {
        slugs.extend(verdict.biller.iter().map(ToString::to_string));
    }
    slugs
}
