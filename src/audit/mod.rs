//! The decision log, which support searches by reference code, and the audit trail of administrative events.
//!
//! Decisions are written in batches within a second. A killed process loses the last second, but a reference code still
//! reveals its row and time. The log stores usernames as a keyed hash and a mask, never in clear text.

pub mod csv_export;
mod daily_stats;
mod erasure;
mod events;
mod log;
mod look_up;
mod store;
mod trail;

pub use daily_stats::{DailyCounts, Metric, count, daily_stats_since, day_of, increment, start_of_day};
pub use erasure::{for_each_event, rewrite_event};
pub use events::{EventFilter, StoredActor, StoredEvent, count_events, list_events, sweep_events};
pub use log::{DecisionLog, LogBacklog, LogEntry, LogWriter, find};
pub use store::{LookupResult, StoredEntry};
pub use trail::{Action, Actor, ActorContext, AuditEvent};
