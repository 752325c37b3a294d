//! The calls of the API, for tests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;

use crate::store::lock;

/// A call of the API and its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiCall {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// `X-Correlation-Id`.
    pub correlation: Option<String>,
    /// `X-Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// JSON body. Null if there is none or bodies are not recorded.
    pub body: Value,
    /// None before the response, and for dropped connections.
    pub status: Option<u16>,
    /// Whether the response has an `ETag`.
    pub etag: bool,
    /// JSON body of the response. Null if there is none or bodies are not recorded.
    pub response: Value,
}

/// Calls in order of arrival.
#[derive(Default)]
pub(crate) struct Journal {
    calls: Mutex<Vec<ApiCall>>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
    with_bodies: AtomicBool,
}

/// A call in flight, until this value drops. It drops also when the client disconnects.
pub(crate) struct InFlightCall<'a> {
    journal: &'a Journal,
    index: usize,
}

impl Journal {
    pub(crate) fn begin(&self, parts: &Parts) -> InFlightCall<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        let mut calls = lock(&self.calls);
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        calls.push(ApiCall {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            correlation: header("x-correlation-id"),
            idempotency_key: header("x-idempotency-key"),
            if_match: header("if-match"),
            ..ApiCall::default()
        });
        InFlightCall { journal: self, index: calls.len() - 1 }
    }

    pub(crate) fn calls(&self) -> Vec<ApiCall> {
        lock(&self.calls).clone()
    }

    /// Bodies take much memory in long runs, so they are recorded on demand.
    pub(crate) fn record_bodies(&self, with_bodies: bool) {
        self.with_bodies.store(with_bodies, Ordering::SeqCst);
    }

    /// The highest number of calls in flight at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

impl InFlightCall<'_> {
    pub(crate) fn with_bodies(&self) -> bool {
        self.journal.with_bodies.load(Ordering::SeqCst)
    }

    /// Records the bodies that are JSON.
    pub(crate) fn set_bodies(&self, sent: &[u8], answered: &[u8]) {
        if let Some(call) = lock(&self.journal.calls).get_mut(self.index) {
            call.body = serde_json::from_slice(sent).unwrap_or_default();
            call.response = serde_json::from_slice(answered).unwrap_or_default();
        }
    }

    pub(crate) fn record_response(&self, response: &Response) {
        if let Some(call) = lock(&self.journal.calls).get_mut(self.index) {
            call.status = Some(response.status().as_u16());
            call.etag = response.headers().contains_key(header::ETAG);
        }
    }
}

impl Drop for InFlightCall<'_> {
    fn drop(&mut self) {
        self.journal.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
