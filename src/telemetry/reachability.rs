//! Whether this instance reaches identity providers at all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use signpost_core::BillerId;

/// Circuit breakers belong to all instances. What this instance alone cannot reach must not open them.
#[derive(Debug, Default)]
pub struct Reachability {
    /// Recorded calls in a row that reached nothing, by biller.
    failures: Mutex<HashMap<BillerId, i64>>,
    is_isolated: AtomicBool,
}

impl Reachability {
    pub fn failures(&self, biller: &BillerId) -> i64 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(biller).copied().unwrap_or(0)
    }

    /// Notes that a call reached nothing, and that all instances know it.
    pub fn record_failure(&self, biller: &BillerId) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner).entry(biller.clone()).or_default() += 1;
    }

    /// Notes that an issuer responded.
    pub fn record_response(&self) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if self.is_isolated.swap(false, Ordering::Relaxed) {
            tracing::info!("this instance reaches issuers again");
        }
    }

    /// Notes that other issuers do not respond either, or that other instances reach the one that does not respond to this one.
    pub fn record_isolation(&self) {
        if !self.is_isolated.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "this instance reaches no issuer: its failures no longer count for the circuit breakers that all instances share. \
                 Check its network and name resolution"
            );
        }
    }

    pub fn is_isolated(&self) -> bool {
        self.is_isolated.load(Ordering::Relaxed)
    }
}
