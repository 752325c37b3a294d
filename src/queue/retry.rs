//! When failed work is tried again.

use std::time::Duration;

use signpost_core::{Random, Timestamp};

/// Exponential backoff with jitter, and an optional end.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    pub initial_delay: Duration,
    pub max_delay: Duration,
    /// Work older than this is not tried again.
    pub give_up_after: Option<Duration>,
}

impl RetryPolicy {
    /// The time of the next attempt after `attempts` failures. `None` means to give up: the caller decides what becomes of the
    /// work.
    pub fn next_attempt(
        &self,
        attempts: i64,
        (created_at, now): (Timestamp, Timestamp),
        random: &Random,
    ) -> Option<Timestamp> {
        let is_expired = self.give_up_after.is_some_and(|limit| now >= created_at.plus(limit));
        (!is_expired).then(|| now.plus(self.delay(attempts, u16::from_be_bytes(random.bytes()))))
    }

    /// The delay doubles with each failure. Jitter takes off up to a quarter, so that work that failed together is not retried
    /// together.
    fn delay(&self, attempts: i64, jitter: u16) -> Duration {
        let doublings = u32::try_from(attempts.clamp(1, 17) - 1).unwrap_or(0);
        let delay = self.initial_delay.saturating_mul(2_u32.pow(doublings)).min(self.max_delay);
        delay - delay / 4 * u32::from(jitter) / (u32::from(u16::MAX) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        initial_delay: Duration::from_secs(2),
        max_delay: Duration::from_secs(60),
        give_up_after: Some(Duration::from_secs(3600)),
    };

    #[test]
    fn delays_double_up_to_the_maximum_with_a_quarter_of_jitter() {
        let seconds = |attempts| POLICY.delay(attempts, 0).as_secs();
        assert_eq!([1, 2, 3, 5, 6, i64::MAX].map(seconds), [2, 4, 8, 32, 60, 60]);
        let shortest = POLICY.delay(6, u16::MAX);
        assert!(shortest >= Duration::from_secs(45) && shortest < Duration::from_secs(46), "{shortest:?}");
    }

    #[test]
    fn old_work_is_given_up() {
        let (start, random) = (Timestamp::from_millis(0), Random::system());
        let next = |seconds| POLICY.next_attempt(1, (start, start.plus(Duration::from_secs(seconds))), &random);
        assert!(next(3599).is_some());
        assert_eq!(next(3600), None);
    }
}
