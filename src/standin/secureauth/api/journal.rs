//! What was asked of the API, for tests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::standin::store::lock;

/// A call of the API, as it arrived, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCall {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    /// None: it is not answered yet, or was dropped without an answer.
    pub status: Option<u16>,
}

/// Calls in the order they arrived.
#[derive(Default)]
pub struct Journal {
    calls: Mutex<Vec<ApiCall>>,
    under_way: AtomicUsize,
    peak: AtomicUsize,
}

/// A call under way; it ends with this value, also when its client has gone.
pub struct UnderWay<'a> {
    journal: &'a Journal,
    place: usize,
}

impl Journal {
    /// Notes a call.
    pub fn begin(&self, method: &str, path: &str, query: &str) -> UnderWay<'_> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        let mut calls = lock(&self.calls);
        let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
        calls.push(ApiCall { method, path, query, status: None });
        UnderWay { journal: self, place: calls.len() - 1 }
    }

    /// All of them, the oldest first.
    pub fn calls(&self) -> Vec<ApiCall> {
        lock(&self.calls).clone()
    }

    /// The most calls that were under way at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

impl UnderWay<'_> {
    /// Notes what was answered.
    pub fn answered(&self, status: u16) {
        if let Some(call) = lock(&self.journal.calls).get_mut(self.place) {
            call.status = Some(status);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.journal.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
