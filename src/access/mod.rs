//! API keys, idempotent requests and rate limits.

mod idempotency;
mod keys;
mod limits;
mod staff;

pub use idempotency::{IdempotencyKey, Replay};
pub use keys::{ApiKey, ApiKeys, Audience, CreatedApiKey, KeyError, NewApiKey, Scope};
pub use limits::RateLimits;
pub use staff::StaffLimits;
