//! A worker's hold on the rows that it claimed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use signpost_core::Timestamp;

/// A lease on the rows of one claim. Clones share its end.
#[derive(Clone, Debug)]
pub struct Lease {
    fencing_token: String,
    until: Arc<AtomicI64>,
}

/// The row has another owner or has ended; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost")]
pub struct LeaseLost;

impl Lease {
    pub fn new(fencing_token: String, until: Timestamp) -> Self {
        Self { fencing_token, until: Arc::new(AtomicI64::new(until.millis())) }
    }

    /// Unique to this claim. Every write of the owner is conditional on it.
    pub fn fencing_token(&self) -> &str {
        &self.fencing_token
    }

    pub fn is_held(&self, now: Timestamp) -> bool {
        now.millis() < self.until.load(Ordering::Relaxed)
    }

    /// Records that a write under the fencing token renewed the lease. `rows` is the number of rows that it touched.
    pub fn renewed(&self, rows: u64, until: Timestamp) -> Result<(), LeaseLost> {
        if rows == 0 {
            return Err(LeaseLost);
        }
        self.until.store(until.millis(), Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_unless_a_write_renews_it() {
        let at = Timestamp::from_millis;
        let lease = Lease::new("a".to_owned(), at(10));
        assert!(lease.is_held(at(9)) && !lease.is_held(at(10)));
        assert_eq!(lease.renewed(0, at(20)), Err(LeaseLost));
        assert!(!lease.is_held(at(10)));
        let clone = lease.clone();
        assert_eq!(lease.renewed(1, at(20)), Ok(()));
        assert!(clone.is_held(at(19)));
    }
}
