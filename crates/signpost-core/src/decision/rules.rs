//! The list of rules, in the order they are looked at.

use serde::{Deserialize, Serialize};

macro_rules! rules {
    ($($variant:ident, $name:literal, $row:literal, $description:literal;)*) => {
        /// A rule's permanent name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Rule {
            $(#[doc = $description] #[serde(rename = $name)] $variant,)*
        }

        impl Rule {
            /// The name as it stands in traces.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        /// Every rule, in the order they are looked at.
        pub const RULES: &[RuleInfo] = &[
            $(RuleInfo { rule: Rule::$variant, rows: $row, description: $description },)*
        ];
    };
}

/// A rule with its place in the routing table and its meaning.
#[derive(Clone, Copy, Debug)]
pub struct RuleInfo {
    /// The rule.
    pub rule: Rule,
    /// The rows of the routing table that it decides.
    pub rows: &'static str,
    /// What it says.
    pub description: &'static str,
}

rules! {
    KillSwitch, "kill_switch", "0", "An operator's kill switch stands above everything: all to legacy, one biller to legacy, or hold.";
    DirectoryUnavailable, "directory_unavailable", "9", "The directory cannot be read: legacy login for all, or the hold page, by configuration.";
    BillerHold, "biller_hold", "0", "An operator holds a biller: its members and its addresses get the hold page.";
    NamedBiller, "named_biller", "7", "The address names a biller: its SecureAuth sign-in if it is active, else the legacy login; no username is asked.";
    Rollout, "rollout", "1-6", "An active biller counts as legacy for a username that its activation date, allow-list or percentage leaves out.";
    UnknownUsername, "unknown_username", "1", "Nobody has this username: the legacy login, so that the answer is that of rows 3 and 4.";
    SeveralLegacy, "several_legacy", "6", "Two legacy billers or more, which should not be: the legacy login, and an integrity alarm.";
    SingleLegacy, "single_legacy", "3", "One legacy biller and no moved one: the legacy login.";
    MigratedAndLegacy, "migrated_and_legacy", "4", "One legacy biller and at least one moved one: the legacy login, with the recovery page one step away.";
    PrivateBiller, "private_biller", "2, 5", "All moved billers of the username are private: answered like an unknown username.";
    SeveralMigrated, "several_migrated", "5", "Two moved billers or more and no legacy one: the recovery page, which names none of them.";
    SingleMigrated, "single_migrated", "2", "One moved biller and no legacy one: the bookmark notice, then its SecureAuth sign-in.";
    LegacyAccount, "legacy_account", "0, 3, 4, 6, 7", "A safeguard: nobody is sent to the legacy login who has no legacy account there.";
    PlannedMaintenance, "planned_maintenance", "8", "The identity provider of the biller chosen is announced to be away now: by the biller's policy the outage page with day and time, the legacy login, or there all the same.";
    IssuerHealth, "issuer_health", "8", "The identity provider of the biller chosen is down: by the biller's policy the outage page, the legacy login, or there all the same.";
    RememberedBillers, "remembered_billers", "5", "Billers that this device remembers are offered first on the recovery page.";
}
