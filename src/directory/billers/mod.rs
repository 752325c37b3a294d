//! Billers: their settings, how they are changed, and where they are stored.
//!
//! A setting is a field of [`BillerSettings`], which the API answers and the store keeps, and a field of [`BillerPatch`], which
//! files, the API and the console's forms are read into. [`BillerPatch`] is the only way in which a setting is checked.

mod biller;
mod branding;
mod branding_patch;
mod changes;
pub mod import;
mod issuer_health;
mod oidc;
mod patch;
mod pending;
mod search;
mod settings;
mod snapshot;
pub(in crate::directory) mod store;

pub use biller::{Biller, IssuerStatus};
pub use branding::{Branding, Colours, Logo};
pub use branding_patch::{BrandingPatch, LogoSource};
pub use issuer_health::{FAILURES_TO_OPEN, IssuerEndpoint};
pub use oidc::{BindTo, ClientSecrets, OidcSettings, ResponseMode, TokenAuth};
pub use patch::BillerPatch;
pub use pending::{ApprovalOutcome, ApprovalRefusal, PendingChange};
pub use settings::{BillerSettings, Maintenance, PasswordCarryOver, Support, UserPoolRef};
pub use snapshot::{Billers, MAX_SEARCH_RESULTS};
