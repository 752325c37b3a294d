//! A biller's settings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::oidc::OidcSettings;
use crate::secureauth::management::PasswordPolicy;
use signpost_core::decision::{OutagePolicy, SuspensionPolicy};
use signpost_core::{LocalizedText, Rollout, Timestamp};

/// Settings of a biller, in the form in which the API answers them and the database keeps them. They hold no secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BillerSettings {
    /// An operator has paused the biller: its customers get the maintenance page.
    pub paused: bool,
    /// A username alone never reveals the biller.
    pub private: bool,
    /// Whether any of its users has a legacy account.
    pub legacy_accounts: bool,
    /// Where users go while the biller is suspended.
    pub when_suspended: SuspensionPolicy,
    /// Where users go while the biller's identity provider is down.
    pub outage_policy: OutagePolicy,
    /// Whether passwords were imported into SecureAuth.
    pub passwords: PasswordCarryOver,
    pub rollout: Rollout,
    /// The registration at the biller's OpenID Connect provider.
    pub oidc: Option<OidcSettings>,
    /// Which passwords the biller's pool at SecureAuth accepts. SecureAuth decides what is left out.
    pub password_policy: PasswordPolicy,
    /// The biller's own handoff address; null: the shared one.
    pub portal_url: Option<String>,
    pub support: Support,
    /// Email address of the biller itself; customers never see it.
    pub contact_email: Option<String>,
}

/// Whether passwords were imported into SecureAuth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PasswordCarryOver {
    /// Users keep their passwords.
    #[default]
    Imported,
    /// Users choose a new password at their first sign-in.
    ResetRequired,
}

/// Where SecureAuth keeps the users of a biller that was migrated before Signpost was installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserPoolRef {
    /// Id of the biller's organization.
    pub organization: String,
    /// Id of the pool with the biller's users.
    pub pool: String,
    /// Users sign in at the biller's own provider, so SecureAuth has no passwords of theirs.
    pub sso: bool,
}

/// Announced maintenance of a biller's identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    pub from: Timestamp,
    pub until: Timestamp,
    /// Minutes east of UTC in which pages show the times.
    pub utc_offset_minutes: i16,
}

impl Maintenance {
    pub fn window(&self) -> signpost_core::decision::MaintenanceWindow {
        signpost_core::decision::MaintenanceWindow { from: self.from, until: self.until }
    }
}

/// How a biller's customers get help, and how else they can pay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Support {
    /// Telephone number.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Hours of service.
    pub hours: Option<LocalizedText>,
    /// Another way to pay.
    pub alternative_payment: Option<LocalizedText>,
}
