//! What happened and why: the decision log, found by reference code.
//!
//! Entries are written in batches, at most a second after the decision: a killed process loses that second, and a code
//! whose entry was lost still tells row and time. Usernames are kept as a keyed hash and a mask, never in clear.

mod log;
mod store;

pub use log::{DecisionLog, Entry, LogWriter, find};
pub use store::{Found, StoredEntry};
