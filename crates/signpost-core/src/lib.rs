//! Domain types, sealed tokens and the routing decision. No I/O: time and randomness are arguments.

pub mod clock;
pub mod colour;
pub mod decision;
pub mod field_error;
pub mod ids;
pub mod locale;
pub mod localized_text;
pub mod paths;
pub mod random;
pub mod reference;
pub mod rollout;
pub mod routes;
mod schema;
pub mod scope;
pub mod seal;
pub mod sign;
pub mod slug;
pub mod text;
pub mod username;

pub use clock::{Clock, Timestamp};
pub use colour::Colour;
pub use field_error::{FieldError, FieldErrors};
pub use ids::{BillerId, UserId};
pub use locale::Locale;
pub use localized_text::LocalizedText;
pub use random::Random;
pub use reference::ReferenceCode;
pub use rollout::Rollout;
pub use scope::Scope;
pub use seal::{KeyRing, KeyRingError, Purpose};
pub use sign::SigningKey;
pub use slug::Slug;
pub use username::{Username, UsernameInput};
