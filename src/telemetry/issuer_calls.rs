//! Statistics of this instance's calls to identity providers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use signpost_core::Slug;

/// Calls kept per biller.
const WINDOW_SIZE: usize = 256;

/// Statistics of the latest calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CallStats {
    /// At most 256.
    pub calls: usize,
    /// How many of them failed.
    pub failed: usize,
    /// Median duration in milliseconds.
    pub median_ms: u64,
    /// 95th percentile of the duration in milliseconds.
    pub p95_ms: u64,
}

#[derive(Debug, Default)]
pub struct IssuerCalls(Mutex<BTreeMap<Slug, VecDeque<(Duration, bool)>>>);

impl IssuerCalls {
    pub fn record(&self, slug: &Slug, duration: Duration, succeeded: bool) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = calls.entry(slug.clone()).or_default();
        if calls.len() == WINDOW_SIZE {
            calls.pop_front();
        }
        calls.push_back((duration, succeeded));
    }

    pub fn stats(&self, slug: &Slug) -> CallStats {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(calls) = calls.get(slug) else { return CallStats::default() };
        let mut durations: Vec<Duration> = calls.iter().map(|(duration, _)| *duration).collect();
        durations.sort_unstable();
        let at = |percent: usize| {
            let index = (durations.len() * percent).div_ceil(100).saturating_sub(1);
            durations.get(index).map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
        };
        CallStats {
            calls: calls.len(),
            failed: calls.iter().filter(|(_, succeeded)| !succeeded).count(),
            median_ms: at(50),
            p95_ms: at(95),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_calls_are_summarized() {
        let (calls, slug) = (IssuerCalls::default(), Slug::parse("riverside-water").unwrap());
        assert_eq!(calls.stats(&slug), CallStats::default());
        for n in 1..=100 {
            calls.record(&slug, Duration::from_millis(n), n % 10 != 0);
        }
        assert_eq!(calls.stats(&slug), CallStats { calls: 100, failed: 10, median_ms: 50, p95_ms: 95 });
        for _ in 0..300 {
            calls.record(&slug, Duration::from_millis(7), true);
        }
        assert_eq!(calls.stats(&slug), CallStats { calls: 256, failed: 0, median_ms: 7, p95_ms: 7 });
    }
}
