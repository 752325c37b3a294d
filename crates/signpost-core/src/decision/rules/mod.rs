//! The list of rules, in the order of evaluation. Each rule has a file of its own, named like the rule.

mod biller_hold;
mod directory_unavailable;
mod issuer_health;
mod kill_switch;
mod legacy_account;
mod migrated_and_legacy;
mod named_biller;
mod outage;
mod planned_maintenance;
mod private_biller;
mod remembered_billers;
mod rollout;
mod several_legacy;
mod several_migrated;
mod single_legacy;
mod single_migrated;
mod unknown_username;

use serde::{Deserialize, Serialize};

use super::choice::{Choice, Evaluation};
use super::facts::Facts;

macro_rules! rules {
    ($($variant:ident = $kind:ident($module:ident), rows $rows:literal;)*) => {
        /// A rule's permanent name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Rule { $($variant,)* }

        impl Rule {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($module),)* }
            }
        }

        /// Every rule, in the order of evaluation.
        pub const RULES: &[RuleInfo] = &[$(RuleInfo {
            rule: Rule::$variant,
            rows: $rows,
            description: $module::DESCRIPTION,
            evaluate: Evaluate::$kind($module::evaluate),
        },)*];
    };
}

rules! {
    KillSwitch = Choose(kill_switch), rows "0";
    DirectoryUnavailable = Choose(directory_unavailable), rows "9";
    BillerHold = Choose(biller_hold), rows "0";
    NamedBiller = Choose(named_biller), rows "7";
    Rollout = Choose(rollout), rows "1-6";
    UnknownUsername = Choose(unknown_username), rows "1";
    SeveralLegacy = Choose(several_legacy), rows "6";
    SingleLegacy = Choose(single_legacy), rows "3";
    MigratedAndLegacy = Choose(migrated_and_legacy), rows "4";
    PrivateBiller = Choose(private_biller), rows "2, 5";
    SeveralMigrated = Choose(several_migrated), rows "5";
    SingleMigrated = Choose(single_migrated), rows "2";
    LegacyAccount = Guard(legacy_account), rows "0, 3, 4, 6, 7, 9";
    PlannedMaintenance = Guard(planned_maintenance), rows "8";
    IssuerHealth = Guard(issuer_health), rows "8";
    RememberedBillers = Guard(remembered_billers), rows "5";
}

/// A rule with its rows of the routing table and its meaning.
#[derive(Clone, Copy, Debug)]
pub struct RuleInfo {
    pub rule: Rule,
    pub rows: &'static str,
    pub description: &'static str,
    pub(super) evaluate: Evaluate,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Evaluate {
    /// Evaluated until one of these rules decides.
    Choose(for<'f> fn(&'f Facts) -> Evaluation<'f>),
    /// Evaluated after that, on the choice so far.
    Guard(for<'f> fn(&'f Facts, &Choice<'f>) -> Evaluation<'f>),
}
