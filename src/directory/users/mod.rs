//! Users and their memberships.

mod contacts;
mod erasure;
pub mod import;
mod integrity;
mod listing;
mod member_pages;
mod members;
mod subjects;
mod user;
mod writes;

pub use contacts::UserContact;
pub use erasure::{Membership, PinnedSubject, QueuedChange, UserTraces};
pub use listing::{UserFilter, UserRecord};
pub use member_pages::{MemberRange, UsernameMemberships, UsernamePage};
pub use members::{BillerScope, IdentityError, MembershipChange, Tally};
pub use subjects::{SubjectMatch, pin_subject};
pub use user::{User, UserStatus};
pub use writes::{NewUser, UserUpdate, UserWriteError, WriteContext};
