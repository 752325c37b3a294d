//! What happened and why: the decision log, found by reference code, and the audit trail of administrative acts.
//!
//! Entries are written in batches, at most a second after the decision: a killed process loses that second, and a code
//! whose entry was lost still tells row and time. Usernames are kept as a keyed hash and a mask, never in clear.

mod acts;
pub mod cells;
mod log;
mod look_up;
mod scores;
mod store;
mod trail;

pub use acts::{StoredAct, StoredActor, Wanted, acts, count_acts, sweep_acts};
pub use log::{DecisionLog, Entry, LogWriter, find};
pub use scores::{Score, Scores, begin_of, day_of, score, scores_since};
pub use store::{Found, StoredEntry};
pub use trail::{Act, Action, Actor, By};
