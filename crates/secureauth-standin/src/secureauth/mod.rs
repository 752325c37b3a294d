//! Stand-in of SecureAuth: one issuer per organization, `{base}/{tenant}/{organization}`, and the management API.
//!
//! It follows the vendor's documentation. Where that is silent, a comment marks our choice. The authorization endpoint of a
//! deactivated organization answers with an error page; the sign-in page fills in the username from `login_hint`.
//!
//! From the bottom up: `config` and `state`; the operations in `oidc` and `api`; `router`.

mod api;
mod config;
mod oauth;
mod oidc;
mod response;
mod router;
mod state;

pub use self::config::{ApiClients, IdpUser, IssuerState, Organization, SecureAuth, ServiceClient};
pub use self::state::faults::{Fault, FaultRule, Faults, RetryAfter};
pub use self::state::journal::ApiCall;
pub use self::state::mail::{Mail, MailKind};
pub use self::state::standin::{SecureAuthStandIn, secureauth_app};
