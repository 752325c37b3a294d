//! How many customers came back from a biller's identity provider. Few returns raise an alarm but never change the routing:
//! anyone could stay away on purpose.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use signpost_core::Slug;

/// Fewer sign-ins than this are not significant.
const MIN_SIGN_INS: u64 = 20;
/// A lower return percentage raises an alarm.
const ALARM_PERCENT: u64 = 20;

/// Sign-ins of one biller at this instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReturnCount {
    /// Customers sent to the identity provider.
    pub started: u64,
    /// Customers who came back with any response.
    pub returned: u64,
}

impl ReturnCount {
    pub fn is_alarming(self) -> bool {
        self.started >= MIN_SIGN_INS && self.returned * 100 < self.started * ALARM_PERCENT
    }
}

/// Counts per biller since the last report, and of the period before it.
#[derive(Debug, Default)]
pub struct CallbackReturns(Mutex<(BTreeMap<Slug, ReturnCount>, BTreeMap<Slug, ReturnCount>)>);

impl CallbackReturns {
    pub fn record_started(&self, slug: &Slug) {
        self.count(slug, |count| count.started += 1);
    }

    pub fn record_returned(&self, slug: &Slug) {
        self.count(slug, |count| count.returned += 1);
    }

    /// Logs the counts since the last report and starts a new period.
    pub fn report(&self) -> BTreeMap<Slug, ReturnCount> {
        let counts = {
            let mut counts_lock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            counts_lock.1 = std::mem::take(&mut counts_lock.0);
            counts_lock.1.clone()
        };
        for (biller, count) in &counts {
            let ReturnCount { started, returned } = *count;
            if count.is_alarming() {
                tracing::warn!(alarm = "callback_return", %biller, started, returned, "few customers return from the identity provider");
            } else {
                tracing::info!(%biller, started, returned, "sign-ins at the identity provider");
            }
        }
        counts
    }

    /// The counts of this period and the one before it.
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
