//! How many of those who were sent to a biller's issuer came back. People who do not come back are an alarm, never a route:
//! anyone could stay away on purpose.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use signpost_core::Slug;

/// Fewer than so many sign-ins say nothing.
const ENOUGH: u64 = 20;
/// It is an alarm when fewer than so many of a hundred come back.
const ALARM_PERCENT: u64 = 20;

/// Sign-ins of one biller at this instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Sent to the issuer.
    pub begun: u64,
    /// Came back with an answer, whatever it was.
    pub returned: u64,
}

impl Count {
    /// So few came back that somebody should look.
    pub fn is_alarming(self) -> bool {
        self.begun >= ENOUGH && self.returned * 100 < self.begun * ALARM_PERCENT
    }
}

/// Sign-ins since the last report, and those before it, by biller.
#[derive(Debug, Default)]
pub struct Returns(Mutex<(BTreeMap<Slug, Count>, BTreeMap<Slug, Count>)>);

impl Returns {
    /// Somebody was sent to the biller's issuer.
    pub fn begun(&self, slug: &Slug) {
        self.count(slug, |count| count.begun += 1);
    }

    /// Somebody came back from there.
    pub fn returned(&self, slug: &Slug) {
        self.count(slug, |count| count.returned += 1);
    }

    /// Logs how many came back since the last report, and begins anew.
    pub fn report(&self) -> BTreeMap<Slug, Count> {
        let counts = {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.1 = std::mem::take(&mut held.0);
            held.1.clone()
        };
        for (biller, count) in &counts {
            let Count { begun, returned } = *count;
            if count.is_alarming() {
                tracing::warn!(alarm = "callback_return", %biller, begun, returned, "few come back from the issuer");
            } else {
                tracing::info!(%biller, begun, returned, "sign-ins at the issuer");
            }
        }
        counts
    }

    /// Sign-ins of a biller since the report before the last one.
    pub fn recent(&self, slug: &Slug) -> Count {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = [held.0.get(slug), held.1.get(slug)];
        let sum =
            |sum: Count, part: &Count| Count { begun: sum.begun + part.begun, returned: sum.returned + part.returned };
        parts.into_iter().flatten().fold(Count::default(), sum)
    }

    fn count(&self, slug: &Slug, add: impl FnOnce(&mut Count)) {
        add(self.0.lock().unwrap_or_else(PoisonError::into_inner).0.entry(slug.clone()).or_default());
    }
}
