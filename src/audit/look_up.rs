//! Looking a reference code up, on the record.

use std::collections::BTreeSet;

use super::store::{self, Found, StoredEntry};
use super::{Act, Action, By, DecisionLog};
use crate::db::DbError;
use signpost_core::decision::{Entry, Facts, Kill, Verdict};
use signpost_core::{ReferenceCode, Slug};

/// No code is longer, however it is written.
const LONGEST: usize = 40;

impl DecisionLog {
    /// Finds what is recorded under a code, as somebody wrote it, and writes down that it was looked up, also when nothing was
    /// found. What this process recorded a moment ago is found.
    ///
    /// `reach` are the billers that the asker may see; none: all. An entry that concerns no biller, or one out of reach, is
    /// answered as a code that is not ours.
    ///
    /// # Errors
    /// The database failed: nothing is answered that was not written down.
    pub async fn look_up(&self, written: &str, reach: Option<&[Slug]>, by: &By) -> Result<Found, DbError> {
        let code = ReferenceCode::parse(written);
        let found = match &code {
            Some(code) => {
                self.flush().await;
                store::find(&self.db, code, &self.code_key).await?
            }
            None => Found::NotOurs,
        };
        let found = if is_open(&found, reach) { found } else { Found::NotOurs };
        let shown = code.map_or_else(|| written.chars().take(LONGEST).collect(), |code| code.to_string());
        let act = Act::of(Action::CodeLookedUp).about(&shown).with("found", !matches!(found, Found::NotOurs));
        let act = match &found {
            Found::Entry(entry) => match entry.biller.as_deref().and_then(|slug| Slug::parse(slug).ok()) {
                Some(slug) => act.at(&slug),
                None => act,
            },
            _ => act,
        };
        by.note_alone(&self.db, act).await?;
        Ok(found)
    }
}

fn is_open(found: &Found, reach: Option<&[Slug]>) -> bool {
    let (Some(reach), Found::Entry(entry)) = (reach, found) else { return reach.is_none() };
    let concerned = concerned(entry);
    !concerned.is_empty() && concerned.iter().all(|slug| reach.iter().any(|own| own.as_str() == slug))
}

/// Every biller that an entry tells of.
fn concerned(entry: &StoredEntry) -> BTreeSet<String> {
    let mut slugs: BTreeSet<String> = entry.biller.iter().cloned().collect();
    if let Ok(facts) = serde_json::from_value::<Facts>(entry.details["facts"].clone()) {
        slugs.extend(facts.billers().map(|biller| biller.slug.to_string()));
        slugs.extend(facts.remembered.iter().map(ToString::to_string));
        if let Entry::Named { slug, .. } = &facts.entry {
            slugs.insert(slug.to_string());
        }
        if let Kill::BillerLegacy(slug) = &facts.kill {
            slugs.insert(slug.to_string());
        }
    }
    if let Ok(verdict) = serde_json::from_value::<Verdict>(entry.details["verdict"].clone()) {
        slugs.extend(verdict.biller.iter().map(ToString::to_string));
    }
    slugs
}
