//! API keys, idempotent requests and rate limits.

mod exhausted_limits;
mod idempotency;
mod keys;
mod known_networks;
mod limits;
mod staff;

pub use exhausted_limits::ExhaustedLimits;
pub use idempotency::{IDEMPOTENCY_RETENTION, IdempotencyKey, Replay, StoredResponse};
pub use keys::{ApiKey, ApiKeys, Audience, CreatedApiKey, KeyError, NewApiKey};
pub use known_networks::KnownNetworks;
pub use limits::{Client, LookupRefusal, RateLimits, Requester, Throttled};
pub use signpost_core::scope::{self, Scope};
pub use staff::StaffLimits;
