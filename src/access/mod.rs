//! Who may ask what: keys of machine clients, requests that are repeated, and limits for everybody.

mod idempotency;
mod keys;
mod limits;
mod staff;

pub use idempotency::{Earlier, Once};
pub use keys::{ApiKey, ApiKeys, Audience, KeyError, MadeKey, NewKey, Scope};
pub use limits::Limits;
pub use staff::StaffLimits;
