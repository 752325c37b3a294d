//! Who may ask what: keys of machine clients, requests that are repeated, and limits for everybody.

mod idempotency;
mod keys;
mod limits;
mod staff;

pub use idempotency::{IdempotencyKey, Replay};
pub use keys::{ApiKey, ApiKeys, Audience, CreatedApiKey, KeyError, NewApiKey};
pub use limits::RateLimits;
pub use signpost_core::scope::{self, Scope};
pub use staff::StaffLimits;
