//! Everything that is known when deciding. Facts can be written down and read back, so that a decision can be replayed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::hash64;
use crate::{Rollout, Slug, Timestamp};

/// What is known about one arrival.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// When the person arrived.
    pub now: Timestamp,
    /// The kill switch.
    #[serde(default)]
    pub kill_switch: KillSwitchState,
    /// Where the browser came in.
    pub entry: EntryPoint,
    /// What the directory says.
    pub directory: Directory,
    /// What to do when the directory cannot be read.
    #[serde(default)]
    pub directory_policy: DirectoryPolicy,
    /// Billers that this device remembers.
    #[serde(default)]
    pub remembered: Vec<Slug>,
}

/// The kill switch: an operator's order above all rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillSwitchState {
    /// Not set.
    #[default]
    Off,
    /// Everybody goes to the legacy login.
    AllLegacy,
    /// Everybody gets the hold page.
    Hold,
    /// One biller's members and addresses go to the legacy login.
    BillerLegacy(Slug),
}

/// The kill switch as people write it: `off`, `all-legacy`, `hold` or `SLUG=legacy`.
impl std::str::FromStr for KillSwitchState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "off" => Ok(Self::Off),
            "all-legacy" | "all_legacy" => Ok(Self::AllLegacy),
            "hold" => Ok(Self::Hold),
            other => match other.split_once('=').map(|(slug, place)| (Slug::parse(slug.trim()), place.trim())) {
                Some((Ok(slug), "legacy")) => Ok(Self::BillerLegacy(slug)),
                _ => Err("expected off, all-legacy, hold or SLUG=legacy".to_owned()),
            },
        }
    }
}

impl std::fmt::Display for KillSwitchState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::AllLegacy => f.write_str("all-legacy"),
            Self::Hold => f.write_str("hold"),
            Self::BillerLegacy(slug) => write!(f, "{slug}=legacy"),
        }
    }
}

/// Where the browser came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryPoint {
    /// The shared legacy address, where a username is typed.
    Shared,
    /// An address that names a biller.
    Named {
        /// The biller's slug in the address.
        slug: Slug,
        /// What kind of address.
        via: Via,
    },
}

/// The kinds of address that name a biller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// `/b/{slug}`.
    VanityPath,
    /// A host of the biller's own.
    VanityHost,
    /// An old address of the legacy site that is mapped to the biller.
    DeepLink,
}

/// What the directory says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Directory {
    /// It cannot be read.
    Unavailable,
    /// It was read.
    Read {
        /// The biller that the address names, if it names one and the directory has it.
        #[serde(default)]
        named: Option<Biller>,
        /// Memberships of the username typed; deleted users are none.
        #[serde(default)]
        memberships: Vec<Membership>,
    },
}

/// What to do when the directory cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryPolicy {
    /// Everybody goes to the legacy login.
    #[default]
    Legacy,
    /// Everybody gets the hold page.
    Hold,
}

/// One membership of the username typed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The biller.
    pub biller: Biller,
    /// Whether the person has an account in the legacy system for this biller.
    #[serde(default = "default_true")]
    pub legacy_account: bool,
    /// Whether the username is on the biller's rollout allow-list.
    #[serde(default)]
    pub allow_listed: bool,
    /// The username's place in the biller's percentage rollout, 0 to 99: see [`rollout_bucket`].
    #[serde(default)]
    pub bucket: u8,
}

/// What routing needs to know of a biller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Biller {
    /// Its permanent short name.
    pub slug: Slug,
    /// Its CIAM state.
    pub state: CiamState,
    /// `active` counts from this moment on; always, when absent.
    #[serde(default)]
    pub active_from: Option<Timestamp>,
    /// An operator holds this biller: its members and addresses get the hold page.
    #[serde(default)]
    pub paused: bool,
    /// Never revealed by a username.
    #[serde(default)]
    pub private: bool,
    /// Whether any of its users have legacy accounts.
    #[serde(default = "default_true")]
    pub legacy_accounts: bool,
    /// Where its users go while it is suspended.
    #[serde(default)]
    pub when_suspended: SuspensionPolicy,
    /// For whom `active` counts.
    #[serde(default)]
    pub rollout: RolloutFacts,
    /// Whether its identity provider answers.
    #[serde(default)]
    pub issuer: IssuerHealth,
    /// When it is announced to be away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceWindow>,
    /// What to do while it does not.
    #[serde(default)]
    pub outage_policy: OutagePolicy,
}

/// A biller's CIAM state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CiamState {
    /// Signs in at the legacy login.
    Legacy,
    /// Being moved; still signs in at the legacy login.
    Enabling,
    /// Moved to its own sign-in, from the activation date on.
    Active,
    /// Switched off without deleting.
    Suspended,
}

impl CiamState {
    /// The state as it is written in files, addresses and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Enabling => "enabling",
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// Where a suspended biller's users go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionPolicy {
    /// To the legacy login, where they have a legacy account.
    #[default]
    Legacy,
    /// To the hold page.
    Hold,
}

/// What a decision looks at of a biller's [`Rollout`]. Decision records keep it, so it holds no usernames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutFacts {
    /// There is an allow-list; those on it are in.
    #[serde(default)]
    pub allow_list: bool,
    /// This percentage of usernames is in, always the same ones.
    #[serde(default)]
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
    /// It answers, or has never been asked.
    #[default]
    Up,
    /// Our own calls to it fail.
    Down,
}

/// A span of time: its beginning is part of it, its end is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceWindow {
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl MaintenanceWindow {
    /// Whether a moment lies in it.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.from <= moment && moment < self.until
    }
}

/// What to do while a biller's identity provider is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutagePolicy {
    /// The outage page.
    #[default]
    Hold,
    /// The legacy login, for users who still have a legacy account.
    Legacy,
    /// Go there all the same.
    Proceed,
}

/// A username's place in a biller's percentage rollout, 0 to 99: always the same one for the same pair.
pub fn rollout_bucket(biller: &Slug, username_key: &str) -> u8 {
    let bits = hash64(format!("{biller}\0{username_key}").as_bytes());
    u8::try_from(bits % 100).unwrap_or(0)
}

const fn default_true() -> bool {
    true
}

impl Biller {
    /// Active, and the activation date has come.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.state == CiamState::Active && self.active_from.is_none_or(|from| from <= now)
    }
}

impl Membership {
    /// Whether this membership goes to SecureAuth now: its biller is active and the rollout has reached this username.
    pub fn is_ciam(&self, now: Timestamp) -> bool {
        self.biller.is_active(now) && self.in_rollout()
    }

    /// Whether the rollout has reached this username.
    pub fn in_rollout(&self) -> bool {
        match self.biller.rollout {
            RolloutFacts { allow_list: false, percent: None } => true,
            RolloutFacts { allow_list, percent } => {
                (allow_list && self.allow_listed) || percent.is_some_and(|percent| self.bucket < percent)
            }
        }
    }

    /// Whether the legacy login can let this person in.
    pub fn can_sign_in_at_legacy(&self) -> bool {
        self.legacy_account && !self.biller.holds_while_suspended()
    }
}

impl Biller {
    /// Suspended, and its users are to be held meanwhile.
    pub fn holds_while_suspended(&self) -> bool {
        self.state == CiamState::Suspended && self.when_suspended == SuspensionPolicy::Hold
    }
}

impl Facts {
    /// The memberships; none when the directory cannot be read.
    pub fn memberships(&self) -> &[Membership] {
        match &self.directory {
            Directory::Read { memberships, .. } => memberships,
            Directory::Unavailable => &[],
        }
    }

    /// Every biller that the directory told of: the one the address names, then those of the memberships.
    pub fn billers(&self) -> impl Iterator<Item = &Biller> {
        self.named().into_iter().chain(self.memberships().iter().map(|membership| &membership.biller))
    }

    /// The same, to be changed.
    pub fn billers_mut(&mut self) -> impl Iterator<Item = &mut Biller> {
        let (named, memberships) = match &mut self.directory {
            Directory::Read { named, memberships } => (named.as_mut(), memberships.as_mut_slice()),
            Directory::Unavailable => (None, <&mut [Membership]>::default()),
        };
        named.into_iter().chain(memberships.iter_mut().map(|membership| &mut membership.biller))
    }

    /// The biller that the address names, when the directory has it.
    pub fn named(&self) -> Option<&Biller> {
        match &self.directory {
            Directory::Read { named, .. } => named.as_ref(),
            Directory::Unavailable => None,
        }
    }
}
