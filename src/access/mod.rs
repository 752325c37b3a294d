//! Who may ask what: keys of machine clients, and limits for everybody.

mod keys;
mod limits;

pub use keys::{ApiKey, ApiKeys, Audience, KeyError, NewKey, Scope};
pub use limits::Limits;
