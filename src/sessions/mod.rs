//! Sessions of customers and staff, in one table: see docs/adr/0001-own-session-store.md.

mod billers;
mod store;
mod verified;

pub use billers::{
    BillerSession, BillerSessions, NewBillerSession, PastBrowserSession, PastSession, SessionDetails, SessionFilter,
    delete_for_user, end_all, end_for_member, end_for_user,
};
pub use store::{Lifetime, SessionKind, Sessions, StoredSession};
pub use verified::{VerifiedSessions, VerifiedUser};
