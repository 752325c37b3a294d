//! What happened and why: the decision log, found by reference code, and the audit trail of administrative events.
//!
//! Entries are written in batches, at most a second after the decision: a killed process loses that second, and a code
//! whose entry was lost still tells row and time. Usernames are kept as a keyed hash and a mask, never in clear.

pub mod csv_export;
mod daily_stats;
mod events;
mod log;
mod look_up;
mod store;
mod trail;

pub use daily_stats::{DailyCounts, Metric, daily_stats_since, day_of, increment, start_of_day};
pub use events::{EventFilter, StoredActor, StoredEvent, count_events, list_events, sweep_events};
pub use log::{DecisionLog, LogEntry, LogWriter, find};
pub use store::{LookupResult, StoredEntry};
pub use trail::{Action, Actor, ActorContext, AuditEvent};
