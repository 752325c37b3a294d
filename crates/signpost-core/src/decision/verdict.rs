//! What the router answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rules::Rule;
use super::trace::{Trace, TraceStep};
use crate::Slug;

/// Where the person goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The page that tells the biller's new address; its Continue leads to the biller's SecureAuth sign-in.
    BookmarkNotice,
    /// The biller's SecureAuth sign-in.
    SecureauthLogin,
    /// The legacy login.
    LegacyLogin,
    /// The recovery page: find my biller.
    Recovery,
    /// The biller's identity provider is down.
    OutagePage,
    /// Signing in is on hold.
    HoldPage,
}

impl Decision {
    /// The decision in words for support staff.
    pub fn label(self) -> &'static str {
        match self {
            Self::BookmarkNotice => "SecureAuth, via the bookmark notice",
            Self::SecureauthLogin => "SecureAuth",
            Self::LegacyLogin => "the legacy login",
            Self::Recovery => "the recovery page",
            Self::OutagePage => "the outage page",
            Self::HoldPage => "the hold page",
        }
    }
}

/// The answer, with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Where the person goes.
    pub decision: Decision,
    /// The row of the routing table, 0 to 9.
    pub row: u8,
    /// The biller concerned; none where none may be named.
    pub biller: Option<Slug>,
    /// The rule that had the last word.
    pub rule: Rule,
    /// Every rule, in order, with what came of it.
    pub trace: Vec<TraceStep>,
    /// Remembered billers that the recovery page offers first.
    #[serde(skip)]
    pub suggested_billers: Vec<Slug>,
    /// The username has two legacy billers or more, against the assumption that there is one at most.
    #[serde(skip)]
    pub integrity_alarm: bool,
}

/// A place chosen by a rule, before the safeguards have looked at it.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub decision: Decision,
    pub row: u8,
    pub biller: Option<Slug>,
    pub rule: Rule,
    pub integrity_alarm: bool,
}

impl Choice {
    pub(super) fn new(decision: Decision, row: u8, biller: Option<&Slug>, rule: Rule) -> Self {
        Self { decision, row, biller: biller.cloned(), rule, integrity_alarm: false }
    }

    pub(super) fn into_verdict(self, trace: Trace, suggested_billers: Vec<Slug>) -> Verdict {
        Verdict {
            decision: self.decision,
            row: self.row,
            biller: self.biller,
            rule: self.rule,
            trace: trace.into_steps(),
            suggested_billers,
            integrity_alarm: self.integrity_alarm,
        }
    }
}
