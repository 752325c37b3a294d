//! Values that are read when the metrics are scraped.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::series::{self, Series, SeriesKind};

type Labels = Vec<(&'static str, String)>;

/// Values at one moment. A value that could not be read is left out.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Vec<(&'static Series, Labels, f64)>);

impl Snapshot {
    /// Sets a value. `labels` has the values of the series' labels, in its order.
    pub fn set<const N: usize>(&mut self, series: &'static Series, labels: [&str; N], value: f64) {
        debug_assert_eq!(series.labels.len(), N, "{}", series.base());
        let labels = series.labels.iter().copied().zip(labels.map(str::to_owned)).collect();
        self.0.push((series, labels, value));
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        for series in series::ALL {
            let mut values = self.0.iter().filter(|(own, ..)| *own == series).peekable();
            // A series without a value is left out of the text.
            if values.peek().is_none() {
                continue;
            }
            match series.kind {
                SeriesKind::Gauge => {
                    let family: Family<Labels, Gauge<f64, AtomicU64>> = Family::default();
                    for (_, labels, value) in values {
                        family.get_or_create(labels).set(*value);
                    }
                    registry.register(series.base(), series.help, family);
                }
                SeriesKind::Counter => {
                    let family: Family<Labels, Counter<f64, AtomicU64>> = Family::default();
                    for (_, labels, value) in values {
                        family.get_or_create(labels).inc_by(*value);
                    }
                    registry.register(series.base(), series.help, family);
                }
                SeriesKind::Histogram => debug_assert!(false, "{} is not read at a scrape", series.base()),
            }
        }
        registry
    }
}
