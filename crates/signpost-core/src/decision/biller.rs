//! What the decision knows about a biller.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::defaults::{default_true, is_default, is_true};
use crate::{Rollout, Slug, Timestamp};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Biller {
    pub slug: Slug,
    pub state: CiamState,
    /// The state `active` takes effect at this time. `None`: it takes effect at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_from: Option<Timestamp>,
    /// How users sign in at SecureAuth. `None`: unknown, or the biller is not migrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciam_mode: Option<CiamMode>,
    /// An operator paused this biller. Its users and its addresses get the maintenance page.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paused: bool,
    /// A username must never reveal this biller.
    #[serde(default, skip_serializing_if = "is_default")]
    pub private: bool,
    /// At least one user of this biller has a legacy account.
    #[serde(default = "default_true", skip_serializing_if = "is_true")]
    pub legacy_accounts: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_suspended: SuspensionPolicy,
    #[serde(default, skip_serializing_if = "is_default")]
    pub rollout: RolloutFacts,
    #[serde(default, skip_serializing_if = "is_default")]
    pub issuer: IssuerHealth,
    /// Planned maintenance of its identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceWindow>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub outage_policy: OutagePolicy,
}

/// A biller's CIAM state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CiamState {
    /// Users sign in at the legacy login.
    Legacy,
    /// A job is migrating the biller. Users still sign in at the legacy login.
    Enabling,
    /// Users sign in at SecureAuth from the activation date on.
    Active,
    /// The migration is switched off. Nothing was deleted at SecureAuth.
    Suspended,
}

impl CiamState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Enabling => "enabling",
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// How the users of a migrated biller sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CiamMode {
    /// With a password. SecureAuth hosts the accounts.
    #[default]
    Password,
    /// With a password and a second factor. SecureAuth hosts the accounts.
    Mfa,
    /// At the biller's own identity provider.
    Sso,
}

impl CiamMode {
    pub const ALL: [Self; 3] = [Self::Password, Self::Mfa, Self::Sso];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Mfa => "mfa",
            Self::Sso => "sso",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// Where the users of a suspended biller go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionPolicy {
    /// To the legacy login, if they have a legacy account.
    #[default]
    Legacy,
    /// To the maintenance page.
    Hold,
}

/// The usernames for which an active biller counts as migrated. With neither list nor percentage, all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutFacts {
    /// There is an allow list. Usernames on it are in the rollout.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_list: bool,
    /// This percentage of usernames is in the rollout, 0 to 100. A username stays in it while the percentage grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

impl From<&Rollout> for RolloutFacts {
    fn from(rollout: &Rollout) -> Self {
        Self { allow_list: rollout.allow.is_some(), percent: rollout.percent }
    }
}

/// Whether an identity provider answers our calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IssuerHealth {
    /// The provider answers, or Signpost has not called it yet.
    #[default]
    Up,
    /// Signpost's calls to the provider fail.
    Down,
}

/// A time span that includes its start and excludes its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceWindow {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl MaintenanceWindow {
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.from <= moment && moment < self.until
    }
}

/// Where users go while a biller's identity provider is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutagePolicy {
    /// To the outage page.
    #[default]
    Hold,
    /// To the legacy login, if they have a legacy account.
    Legacy,
    /// To the identity provider anyway.
    Proceed,
}

impl Biller {
    /// A biller in this state. The other facts have their defaults.
    pub fn new(slug: Slug, state: CiamState) -> Self {
        Self {
            slug,
            state,
            active_from: None,
            ciam_mode: None,
            paused: false,
            private: false,
            legacy_accounts: true,
            when_suspended: SuspensionPolicy::default(),
            rollout: RolloutFacts::default(),
            issuer: IssuerHealth::default(),
            maintenance: None,
            outage_policy: OutagePolicy::default(),
        }
    }

    /// The biller is active and its activation date has passed.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.state == CiamState::Active && self.active_from.is_none_or(|from| from <= now)
    }

    /// The biller is suspended, and its policy is the maintenance page.
    pub fn holds_while_suspended(&self) -> bool {
        self.state == CiamState::Suspended && self.when_suspended == SuspensionPolicy::Hold
    }
}
