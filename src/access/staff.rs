//! Rate limits of staff: enough for support calls, too little to list the customers of billers.

use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::limits::{Throttled, check, per_day};
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

    pub fn check_lookup(&self, staff_id: &str) -> Result<(), Throttled> {
        let staff_id = hash64(staff_id.as_bytes());
        check(&self.by_minute, &staff_id)?;
        check(&self.by_day, &staff_id)
    }

    /// Counts a batch of simulations.
    pub fn check_batch(&self, staff_id: &str) -> Result<(), Throttled> {
        check(&self.batches, &hash64(staff_id.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staff_lookups_are_limited_per_minute_and_per_day() {
        let config = config::Console { lookups_per_minute: 3, lookups_per_day: 5, ..config::Console::default() };
        let limits = StaffLimits::new(&config);
        assert_eq!((0..9).filter(|_| limits.check_lookup("ann").is_ok()).count(), 3);
        assert!(limits.check_lookup("bob").is_ok());
        let config = config::Console { lookups_per_minute: 100, lookups_per_day: 5, ..config::Console::default() };
        let limits = StaffLimits::new(&config);
        assert_eq!((0..9).filter(|_| limits.check_lookup("ann").is_ok()).count(), 5);
        assert_eq!((0..20).filter(|_| limits.check_batch("ann").is_ok()).count(), 12);
    }
}
