//! The input of a decision. Facts can be stored and read back, so that a decision can be replayed. Defaults are left out.

use serde::{Deserialize, Serialize};

use super::biller::{Biller, RolloutFacts};
use super::defaults::{default_true, is_default, is_true};
use super::kill_switch::KillSwitchState;
use crate::text::hash64;
use crate::{Slug, Timestamp, Username};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    pub now: Timestamp,
    #[serde(default, skip_serializing_if = "is_default")]
    pub kill_switch: KillSwitchState,
    pub entry: EntryPoint,
    /// The username that the customer typed. `None`: nothing was typed, or RFC 8265 forbids the name.
    /// It is never serialized: the decision log must not hold usernames in clear text.
    #[serde(default, skip_serializing)]
    pub username: Option<Username>,
    pub directory: Directory,
    /// The biller that the address names, as last known. Only while the directory is unavailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known: Option<Biller>,
    /// What to do when the directory is unavailable.
    #[serde(default, skip_serializing_if = "is_default")]
    pub directory_policy: DirectoryPolicy,
    /// Billers that this device remembers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remembered: Vec<Slug>,
}

/// How the customer reached Signpost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryPoint {
    /// The shared login page, which asks for a username.
    Shared,
    /// An address that names a biller.
    Named { slug: Slug, via: Via },
}

/// The kinds of address that name a biller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// `/b/{slug}`.
    VanityPath,
    /// The biller's own host.
    VanityHost,
    /// An address of the legacy site that the configuration maps to the biller.
    DeepLink,
}

/// What the directory returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Directory {
    Unavailable,
    Read {
        /// The biller that the address names. `None`: the address names none, or the directory does not have it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        named: Option<Biller>,
        /// Memberships of the username, without those of deleted users.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        memberships: Vec<Membership>,
    },
}

/// Where everyone goes while the directory is unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryPolicy {
    /// To the legacy login.
    #[default]
    Legacy,
    /// To the maintenance page.
    Hold,
}

/// A user's membership at one biller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    pub biller: Biller,
    /// The user has an account for this biller in the legacy system.
    #[serde(default = "default_true", skip_serializing_if = "is_true")]
    pub legacy_account: bool,
    /// The username is on the biller's rollout allow list.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_listed: bool,
    /// The username's bucket in the biller's percentage rollout, 0 to 99: see [`rollout_bucket`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub bucket: u8,
}

/// The bucket of a username in a biller's percentage rollout, 0 to 99. The same pair always gets the same bucket.
pub fn rollout_bucket(biller: &Slug, username_key: &str) -> u8 {
    let bits = hash64(format!("{biller}\0{username_key}").as_bytes());
    u8::try_from(bits % 100).unwrap_or(0)
}

impl Membership {
    /// A user with a legacy account, on no allow list.
    pub fn new(biller: Biller) -> Self {
        Self { biller, legacy_account: true, allow_listed: false, bucket: 0 }
    }

    /// This membership signs in at SecureAuth: its biller is active and the rollout includes the username.
    pub fn is_ciam(&self, now: Timestamp) -> bool {
        self.biller.is_active(now) && self.in_rollout()
    }

    /// The rollout includes the username.
    pub fn in_rollout(&self) -> bool {
        match self.biller.rollout {
            RolloutFacts { allow_list: false, percent: None } => true,
            RolloutFacts { allow_list, percent } => {
                (allow_list && self.allow_listed) || percent.is_some_and(|percent| self.bucket < percent)
            }
        }
    }

    /// The user can sign in at the legacy login.
    pub fn can_sign_in_at_legacy(&self) -> bool {
        self.legacy_account && !self.biller.holds_while_suspended()
    }
}

impl Facts {
    /// A request at an entry point, with what the directory returned. The other facts have their defaults.
    pub fn new(now: Timestamp, entry: EntryPoint, directory: Directory) -> Self {
        Self {
            now,
            kill_switch: KillSwitchState::Off,
            entry,
            username: None,
            directory,
            last_known: None,
            directory_policy: DirectoryPolicy::default(),
            remembered: Vec::new(),
        }
    }

    /// A username with these memberships at the shared login page.
    pub fn at_shared(now: Timestamp, memberships: Vec<Membership>) -> Self {
        Self::new(now, EntryPoint::Shared, Directory::Read { named: None, memberships })
    }

    /// The memberships. Empty when the directory is unavailable.
    pub fn memberships(&self) -> &[Membership] {
        match &self.directory {
            Directory::Read { memberships, .. } => memberships,
            Directory::Unavailable => &[],
        }
    }

    pub fn memberships_mut(&mut self) -> &mut [Membership] {
        match &mut self.directory {
            Directory::Read { memberships, .. } => memberships,
            Directory::Unavailable => &mut [],
        }
    }

    /// Every biller in the facts: the one that the address names, then those of the memberships.
    pub fn billers(&self) -> impl Iterator<Item = &Biller> {
        self.named().into_iter().chain(self.memberships().iter().map(|membership| &membership.biller))
    }

    /// The billers that a response to this customer may name: the named one, and at the shared login page those of the
    /// memberships that are not private. A rule that responds with the name of a biller searches here.
    pub fn nameable_billers(&self) -> impl Iterator<Item = &Biller> {
        let memberships = match &self.entry {
            EntryPoint::Named { .. } => <&[Membership]>::default(),
            EntryPoint::Shared => self.memberships(),
        };
        let members = memberships.iter().map(|membership| &membership.biller).filter(|biller| !biller.private);
        self.named().into_iter().chain(members)
    }

    /// Whether a response to this customer may name this biller.
    pub fn may_name(&self, slug: &Slug) -> bool {
        self.nameable_billers().any(|biller| biller.slug == *slug)
    }

    /// Every biller in the facts, to change it in a what-if simulation.
    pub fn billers_mut(&mut self) -> impl Iterator<Item = &mut Biller> {
        let (named, memberships) = match &mut self.directory {
            Directory::Read { named, memberships } => (named.as_mut(), memberships.as_mut_slice()),
            Directory::Unavailable => (self.last_known.as_mut(), <&mut [Membership]>::default()),
        };
        named.into_iter().chain(memberships.iter_mut().map(|membership| &mut membership.biller))
    }

    /// The biller that the address names, if the directory has it or had it before it became unavailable.
    pub fn named(&self) -> Option<&Biller> {
        match &self.directory {
            Directory::Read { named, .. } => named.as_ref(),
            Directory::Unavailable => self.last_known.as_ref(),
        }
    }

    /// The slug in the address, even if no biller has it.
    pub fn named_slug(&self) -> Option<&Slug> {
        match &self.entry {
            EntryPoint::Named { slug, .. } => Some(slug),
            EntryPoint::Shared => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::CiamState;

    #[test]
    fn private_billers_are_nameable_only_at_their_own_addresses() {
        let slug = |text: &str| Slug::parse(text).unwrap();
        let clinic = Biller { private: true, ..Biller::new(slug("clinic"), CiamState::Active) };
        let water = Biller::new(slug("water"), CiamState::Active);
        let now = Timestamp::from_millis(0);
        let mut shared = Facts::at_shared(now, [&clinic, &water].map(|biller| Membership::new(biller.clone())).into());
        assert_eq!((shared.may_name(&clinic.slug), shared.may_name(&water.slug)), (false, true));
        let named = Directory::Read { named: Some(clinic.clone()), memberships: Vec::new() };
        let entry = EntryPoint::Named { slug: clinic.slug.clone(), via: Via::VanityPath };
        assert!(Facts::new(now, entry, named.clone()).may_name(&clinic.slug));
        shared.directory = named;
        assert!(shared.may_name(&clinic.slug), "a username that names its biller by itself");
        assert!(!shared.may_name(&water.slug));
    }
}
