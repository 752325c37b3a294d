//! Conditions that last, such as an outage: one line when they begin and one when they end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether something fails at the moment, and since when.
#[derive(Debug, Default)]
pub struct Condition {
    began: Mutex<Option<Instant>>,
}

impl Condition {
    pub const fn new() -> Self {
        Self { began: Mutex::new(None) }
    }

    /// Notes a failure. Returns whether the condition begins with it.
    pub fn begins(&self) -> bool {
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = began.is_none();
        began.get_or_insert_with(Instant::now);
        is_new
    }

    /// Notes a success. Returns how long the condition lasted, if it ends now.
    pub fn ends(&self) -> Option<Duration> {
        let began = self.began.lock().unwrap_or_else(PoisonError::into_inner).take();
        began.map(|began| began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_begins_and_ends_once() {
        let condition = Condition::new();
        assert!(condition.ends().is_none(), "nothing has failed");
        assert!(condition.begins() && !condition.begins() && !condition.begins());
        assert!(condition.ends().is_some() && condition.ends().is_none());
        assert!(condition.begins(), "the next outage is another");
    }
}
