//! How much each of the staff may look up: enough for a telephone call, too little to list who is customer where.

use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::limits::per_day;
use crate::config;
use signpost_core::text::spread;

/// Lists of questions an hour.
const LISTS_PER_HOUR: NonZeroU32 = NonZeroU32::new(12).unwrap();

/// The limits of staff, for each person on this instance.
pub struct StaffLimits {
    by_minute: DefaultKeyedRateLimiter<u64>,
    by_day: DefaultKeyedRateLimiter<u64>,
    lists: DefaultKeyedRateLimiter<u64>,
}

impl std::fmt::Debug for StaffLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StaffLimits")
    }
}

impl StaffLimits {
    /// By the settings.
    pub fn new(config: &config::Console) -> Self {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self {
            by_minute: RateLimiter::keyed(Quota::per_minute(at_least_one(config.look_ups_per_minute))),
            by_day: RateLimiter::keyed(per_day(at_least_one(config.look_ups_per_day))),
            lists: RateLimiter::keyed(Quota::per_hour(LISTS_PER_HOUR)),
        }
    }

    /// Whether this person may look one more thing up.
    pub fn allow(&self, person: &str) -> bool {
        let person = spread(person.as_bytes());
        self.by_minute.check_key(&person).is_ok() && self.by_day.check_key(&person).is_ok()
    }

    /// Whether this person may ask one more list of questions.
    pub fn allow_list(&self, person: &str) -> bool {
        self.lists.check_key(&spread(person.as_bytes())).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_has_a_minute_and_a_day() {
        let config = config::Console { look_ups_per_minute: 3, look_ups_per_day: 5, ..config::Console::default() };
        let limits = StaffLimits::new(&config);
        assert_eq!((0..9).filter(|_| limits.allow("ann")).count(), 3);
        assert!(limits.allow("bob"));
        let config = config::Console { look_ups_per_minute: 100, look_ups_per_day: 5, ..config::Console::default() };
        let limits = StaffLimits::new(&config);
        assert_eq!((0..9).filter(|_| limits.allow("ann")).count(), 5);
        assert_eq!((0..20).filter(|_| limits.allow_list("ann")).count(), 12);
    }
}
