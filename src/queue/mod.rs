//! Durable queues in the database: leases, retries and the worker loop, shared by enablement jobs, user changes and mail.
//!
//! A table is a queue when its rows have `fencing_token` and `lease_until`. A worker claims rows by one compare-and-set
//! statement that writes a new fencing token and the end of the lease. Every later write of the worker repeats the token, so a
//! worker that was suspended past its lease changes nothing.

mod lease;
mod retry;
mod store;
mod worker;

pub use lease::{Lease, LeaseLost};
pub use retry::RetryPolicy;
pub use store::{Queue, Statements};
pub use worker::run_worker;
