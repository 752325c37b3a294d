//! What one rule returns.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::biller::Biller;
use super::facts::{Facts, Membership};
use crate::Slug;

/// Where the customer goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The page that shows the biller's new address. Its button leads to the biller's SecureAuth sign-in.
    BookmarkNotice,
    /// The biller's SecureAuth sign-in.
    SecureauthLogin,
    /// The legacy login.
    LegacyLogin,
    /// The recovery page, where customers find their biller.
    Recovery,
    /// The page that says that the biller's identity provider is down.
    OutagePage,
    /// The page that says that signing in is paused.
    HoldPage,
}

impl Decision {
    pub const ALL: [Self; 6] = [
        Self::BookmarkNotice,
        Self::SecureauthLogin,
        Self::LegacyLogin,
        Self::Recovery,
        Self::OutagePage,
        Self::HoldPage,
    ];

    /// The page or redirect that the customer gets, as the decision log names it.
    pub fn response(self) -> &'static str {
        match self {
            Self::BookmarkNotice => "bookmark notice",
            Self::SecureauthLogin => "redirect to SecureAuth",
            Self::LegacyLogin => "redirect to the legacy login",
            Self::Recovery => "recovery page",
            Self::OutagePage => "outage page",
            Self::HoldPage => "hold page",
        }
    }

    /// The decision in words for support staff.
    pub fn label(self) -> &'static str {
        match self {
            Self::BookmarkNotice => "SecureAuth, via the bookmark notice",
            Self::SecureauthLogin => "SecureAuth",
            Self::LegacyLogin => "the legacy login",
            Self::Recovery => "the recovery page",
            Self::OutagePage => "the outage page",
            Self::HoldPage => "the maintenance page",
        }
    }
}

/// The biller whose identity provider signs the customer in.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChosenBiller<'f> {
    pub biller: &'f Biller,
    /// The legacy login can be used instead of the identity provider.
    pub legacy_account: bool,
}

impl<'f> ChosenBiller<'f> {
    pub(super) fn of_membership(membership: &'f Membership) -> Self {
        Self { biller: &membership.biller, legacy_account: membership.can_sign_in_at_legacy() }
    }

    /// A biller chosen without a membership. If the username has a membership there, its legacy account counts;
    /// otherwise it counts that some user of the biller has one.
    pub(super) fn new(facts: &'f Facts, biller: &'f Biller) -> Self {
        let membership = facts.memberships().iter().find(|membership| membership.biller.slug == biller.slug);
        let chosen = Self { biller, legacy_account: biller.legacy_accounts };
        membership.map_or(chosen, Self::of_membership)
    }
}

/// Where a rule sends the customer. A destination at an identity provider always carries its biller, so that the
/// outage rules check every such choice.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination<'f> {
    BookmarkNotice(ChosenBiller<'f>),
    SecureauthLogin(ChosenBiller<'f>),
    LegacyLogin(Option<&'f Slug>),
    Recovery,
    OutagePage(&'f Slug),
    HoldPage(Option<&'f Slug>),
}

impl<'f> Destination<'f> {
    pub(super) fn decision(self) -> Decision {
        match self {
            Self::BookmarkNotice(_) => Decision::BookmarkNotice,
            Self::SecureauthLogin(_) => Decision::SecureauthLogin,
            Self::LegacyLogin(_) => Decision::LegacyLogin,
            Self::Recovery => Decision::Recovery,
            Self::OutagePage(_) => Decision::OutagePage,
            Self::HoldPage(_) => Decision::HoldPage,
        }
    }

    /// The biller that the response may name.
    pub(super) fn slug(self) -> Option<&'f Slug> {
        match self {
            Self::BookmarkNotice(chosen) | Self::SecureauthLogin(chosen) => Some(&chosen.biller.slug),
            Self::LegacyLogin(slug) | Self::HoldPage(slug) => slug,
            Self::OutagePage(slug) => Some(slug),
            Self::Recovery => None,
        }
    }

    /// The biller whose identity provider signs the customer in, if one does.
    pub(super) fn provider(self) -> Option<ChosenBiller<'f>> {
        match self {
            Self::BookmarkNotice(chosen) | Self::SecureauthLogin(chosen) => Some(chosen),
            Self::LegacyLogin(_) | Self::Recovery | Self::OutagePage(_) | Self::HoldPage(_) => None,
        }
    }
}

/// A destination with its row of the routing table. A guard may replace it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'f> {
    pub destination: Destination<'f>,
    /// 0 to 9.
    pub row: u8,
    /// The username has two or more legacy billers.
    pub integrity_alarm: bool,
    /// The response must equal that for an unknown username. No guard may change it.
    pub as_unknown_username: bool,
}

impl<'f> Choice<'f> {
    pub(super) fn new(destination: Destination<'f>, row: u8) -> Self {
        Self { destination, row, integrity_alarm: false, as_unknown_username: false }
    }
}

/// What a rule made of the facts, with the reason as a sentence for support staff.
#[derive(Clone, Debug)]
pub(super) enum Evaluation<'f> {
    /// The rule applies and decides where the customer goes.
    Choose(Choice<'f>, String),
    /// The rule applies, but does not decide where the customer goes.
    Note(String),
    /// The rule does not apply.
    Miss(String),
    /// The rule was not evaluated.
    Skip(String),
}

impl Evaluation<'_> {
    pub(super) fn miss(because: impl Into<String>) -> Self {
        Self::Miss(because.into())
    }

    pub(super) fn skip(because: impl Into<String>) -> Self {
        Self::Skip(because.into())
    }
}

impl<'f> Evaluation<'f> {
    pub(super) fn choose(destination: Destination<'f>, row: u8, because: impl Into<String>) -> Self {
        Self::Choose(Choice::new(destination, row), because.into())
    }
}
