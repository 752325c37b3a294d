//! What a stand-in remembers: in memory, by key, the oldest forgotten when there is too much.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many entries a store keeps.
const CAPACITY: usize = 10_000;

/// Values by key, at most [`CAPACITY`] of them.
pub(crate) struct Store<V> {
    inner: Mutex<Inner<V>>,
}

struct Inner<V> {
    values: HashMap<String, V>,
    /// Keys in the order they came, also those taken out since.
    order: VecDeque<String>,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { values: HashMap::new(), order: VecDeque::new() }) }
    }
}

impl<V> Store<V> {
    /// Keeps a value under a key that was not used before.
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

    /// Takes a value out: the second asker gets nothing.
    pub(crate) fn take(&self, key: &str) -> Option<V> {
        lock(&self.inner).values.remove(key)
    }
}

impl<V: Clone> Store<V> {
    /// A copy of a value.
    pub(crate) fn get(&self, key: &str) -> Option<V> {
        lock(&self.inner).values.get(key).cloned()
    }
}

/// The lock, also after a panic elsewhere: the values are whole at every moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
