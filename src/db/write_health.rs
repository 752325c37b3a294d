//! What is known about whether the database accepts writes.

use std::sync::{Arc, PoisonError, RwLock};

/// Why writes are refused, while they are.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteHealth(Arc<RwLock<Option<&'static str>>>);

impl WriteHealth {
    pub(super) fn refusal(&self) -> Option<&'static str> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was known before.
    pub(super) fn replace(&self, refusal: Option<&'static str>) -> Option<&'static str> {
        std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), refusal)
    }
}
