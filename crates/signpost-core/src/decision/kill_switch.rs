//! The kill switch: an operator's override of every rule.

use serde::{Deserialize, Serialize};

use crate::Slug;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillSwitchState {
    #[default]
    Off,
    /// Everyone goes to the legacy login.
    AllLegacy,
    /// Everyone gets the maintenance page.
    Hold,
    /// The users and the addresses of one biller go to the legacy login.
    BillerLegacy(Slug),
}

/// The written form: `off`, `all-legacy`, `hold` or `SLUG=legacy`.
impl std::str::FromStr for KillSwitchState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "off" => Ok(Self::Off),
            "all-legacy" | "all_legacy" => Ok(Self::AllLegacy),
            "hold" => Ok(Self::Hold),
            other => match other.split_once('=').map(|(slug, target)| (Slug::parse(slug.trim()), target.trim())) {
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
