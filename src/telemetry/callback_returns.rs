//! How many of those who were sent to a biller's issuer came back. People who do not come back are an alarm, never a route:
//! anyone could stay away on purpose.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use signpost_core::Slug;

/// Fewer than so many sign-ins say nothing.
const MIN_SIGN_INS: u64 = 20;
/// It is an alarm when fewer than so many of a hundred come back.
const ALARM_PERCENT: u64 = 20;

/// Sign-ins of one biller at this instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReturnCount {
    /// Sent to the issuer.
    pub started: u64,
    /// Came back with an answer, whatever it was.
    pub returned: u64,
}

impl ReturnCount {
    /// So few came back that somebody should look.
    pub fn is_alarming(self) -> bool {
        self.started >= MIN_SIGN_INS && self.returned * 100 < self.started * ALARM_PERCENT
    }
}

/// Sign-ins since the last report, and those before it, by biller.
#[derive(Debug, Default)]
pub struct CallbackReturns(Mutex<(BTreeMap<Slug, ReturnCount>, BTreeMap<Slug, ReturnCount>)>);

impl CallbackReturns {
    /// Somebody was sent to the biller's issuer.
    pub fn record_started(&self, slug: &Slug) {
        self.count(slug, |count| count.started += 1);
    }

    /// Somebody came back from there.
    pub fn record_returned(&self, slug: &Slug) {
        self.count(slug, |count| count.returned += 1);
    }

    /// Logs how many came back since the last report, and begins anew.
    pub fn report(&self) -> BTreeMap<Slug, ReturnCount> {
        let counts = {
            let mut counts_lock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            counts_lock.1 = std::mem::take(&mut counts_lock.0);
            counts_lock.1.clone()
        };
        for (biller, count) in &counts {
            let ReturnCount { started, returned } = *count;
            if count.is_alarming() {
                tracing::warn!(alarm = "callback_return", %biller, started, returned, "few come back from the issuer");
            } else {
                tracing::info!(%biller, started, returned, "sign-ins at the issuer");
            }
        }
        counts
    }

    /// Sign-ins of a biller since the report before the last one.
    pub fn recent(&self, slug: &Slug) -> ReturnCount {
        let counts_lock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = [counts_lock.0.get(slug), counts_lock.1.get(slug)];
        let sum = |sum: ReturnCount, part: &ReturnCount| ReturnCount {
            started: sum.started + part.started,
            returned: sum.returned + part.returned,
        };
        parts.into_iter().flatten().fold(ReturnCount::default(), sum)
    }

    fn count(&self, slug: &Slug, add: impl FnOnce(&mut ReturnCount)) {
        add(self.0.lock().unwrap_or_else(PoisonError::into_inner).0.entry(slug.clone()).or_default());
    }
}
