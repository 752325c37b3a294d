//! Rate limits of staff: enough for support calls, too little to list the customers of billers.

use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::limits::per_day;
use crate::config;
use signpost_core::text::hash64;

const BATCHES_PER_HOUR: NonZeroU32 = NonZeroU32::new(12).unwrap();

/// The limits apply to each person, on this instance.
pub struct StaffLimits {
    by_minute: DefaultKeyedRateLimiter<u64>,
    by_day: DefaultKeyedRateLimiter<u64>,
    batches: DefaultKeyedRateLimiter<u64>,
}

impl std::fmt::Debug for StaffLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StaffLimits")
    }
}

impl StaffLimits {
    pub fn new(config: &config::Console) -> Self {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self {
            by_minute: RateLimiter::keyed(Quota::per_minute(at_least_one(config.lookups_per_minute))),
            by_day: RateLimiter::keyed(per_day(at_least_one(config.lookups_per_day))),
            batches: RateLimiter::keyed(Quota::per_hour(BATCHES_PER_HOUR)),
        }
    }

    pub fn allow_lookup(&self, staff_id: &str) -> bool {
        let staff_id = hash64(staff_id.as_bytes());
        self.by_minute.check_key(&staff_id).is_ok() && self.by_day.check_key(&staff_id).is_ok()
    }

    /// Counts a batch of simulations.
    pub fn allow_batch(&self, staff_id: &str) -> bool {
        self.batches.check_key(&hash64(staff_id.as_bytes())).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staff_lookups_are_limited_per_minute_and_per_day() {
        let config = config::Console { lookups_per_minute: 3, lookups_per_day: 5, ..config::Console::default() };
        let limits = StaffLimits::new(&config);
        assert_eq!((0..9).filter(|_| limits.allow_lookup("ann")).count(), 3);
        assert!(limits.allow_lookup("bob"));
        let config = config::Console { lookups_per_minute: 100, lookups_per_day: 5, ..config::Console::default() };
        let limits = StaffLimits::new(&config);
        assert_eq!((0..9).filter(|_| limits.allow_lookup("ann")).count(), 5);
        assert_eq!((0..20).filter(|_| limits.allow_batch("ann")).count(), 12);
    }
}
