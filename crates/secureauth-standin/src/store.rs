//! A bounded key-value store in memory. It drops the oldest entries.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

const CAPACITY: usize = 10_000;

pub(crate) struct Store<V> {
    inner: Mutex<Inner<V>>,
}

struct Inner<V> {
    values: HashMap<String, V>,
    /// Keys in order of insertion, including keys taken since.
    order: VecDeque<String>,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { values: HashMap::new(), order: VecDeque::new() }) }
    }
}

impl<V> Store<V> {
    /// The key must be new.
    pub(crate) fn insert(&self, key: String, value: V) {
        let mut inner = lock(&self.inner);
        inner.order.push_back(key.clone());
        inner.values.insert(key, value);
        while inner.order.len() > CAPACITY {
            if let Some(oldest) = inner.order.pop_front() {
                inner.values.remove(&oldest);
            }
        }
    }

    /// Removes and returns a value.
    pub(crate) fn take(&self, key: &str) -> Option<V> {
        lock(&self.inner).values.remove(key)
    }
}

impl<V: Clone> Store<V> {
    pub(crate) fn get(&self, key: &str) -> Option<V> {
        lock(&self.inner).values.get(key).cloned()
    }
}

/// Ignores poisoning: no critical section leaves the values inconsistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
