//! "Where would somebody be taken, and why?", as support staff, machines and the command line ask it. Reads only: nothing is
//! executed, sent or counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{Arrival, Overrides, RolloutChange, Routed, Routing, address};
use crate::directory::{Billers, DirectoryError};
use signpost_core::decision::{
    CiamState, Directory as DirectoryFacts, Entry, Facts, IssuerHealth, Kill, Verdict, Via, WhatIf, what_would_change,
};
use signpost_core::username::UsernameError;
use signpost_core::{Locale, Slug, Timestamp, TypedName, Username};

/// A question. What is left out is as it is now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Question {
    /// The username typed; needed at the shared address.
    pub username: Option<String>,
    /// The address the browser knocks at: a path of ours, or a whole address. None: the shared sign-in page.
    pub entry: Option<String>,
    /// As if billers were in these states, from now on.
    pub billers: BTreeMap<Slug, CiamState>,
    /// As if the identity providers of billers were up or down.
    pub issuers: BTreeMap<Slug, IssuerHealth>,
    /// As if active billers counted for these.
    pub rollouts: BTreeMap<Slug, RolloutWish>,
    /// As if the directory were up or down.
    pub directory: Option<Reading>,
    /// As if the kill switch were `off`, `all-legacy`, `hold` or `SLUG=legacy`.
    #[serde(with = "kill_text")]
    #[schema(value_type = Option<String>)]
    pub kill: Option<Kill>,
    /// As of this time (RFC 3339).
    #[serde(with = "time_text")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// As if the device remembered these billers.
    pub remembered: Vec<Slug>,
    /// The language of the page that would be shown; no rule looks at it.
    pub locale: Option<Locale>,
}

/// Whether the directory can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// It can.
    Up,
    /// It cannot.
    Down,
}

/// For whom a biller is to count as moved; neither list nor percentage: for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RolloutWish {
    /// Usernames let in first.
    pub allow: Option<Vec<String>>,
    /// Percentage of usernames let in, 0 to 100.
    #[schema(maximum = 100)]
    pub percent: Option<u8>,
}

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// It names a biller that is not there: the field, and the biller.
    #[error("there is no biller {1}")]
    NoSuchBiller(&'static str, Slug),
    /// The entry cannot be read as an address.
    #[error("{0:?} is not an address")]
    NotAnAddress(String),
    /// The entry is somebody else's address.
    #[error("{0} is not an address that Signpost serves")]
    NotServed(Url),
    /// The username is none.
    #[error(transparent)]
    Username(#[from] UsernameError),
    /// At the shared address somebody has to type one.
    #[error("is needed at the shared address")]
    UsernameMissing,
    /// A rollout cannot be like this.
    #[error("{0}: {1}")]
    Rollout(Slug, String),
    /// The billers cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl QuestionError {
    /// The field of the question that is wrong; none when the question is not to blame.
    pub fn field(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoSuchBiller(field, _) => field,
            Self::NotAnAddress(_) | Self::NotServed(_) => "entry",
            Self::Username(_) | Self::UsernameMissing => "username",
            Self::Rollout(..) => "rollouts",
            Self::Directory(_) => return None,
        })
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who would be at the door.
    pub arrival: Arrival,
    /// A return target that the address itself stands for.
    pub return_to: Option<String>,
    /// The language of the page that would be shown.
    pub locale: Locale,
    /// The decision, with the facts it stands on.
    pub routed: Routed,
    /// The facts that, were they otherwise, would lead elsewhere.
    pub would_change: Vec<WhatIf>,
}

/// An answer as it is written for machines.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Simulation)]
pub struct Told<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    would_change: &'a [WhatIf],
}

impl Answer {
    /// For machines: the verdict's fields, and what would change it.
    pub fn told(&self) -> Told<'_> {
        Told { verdict: &self.routed.verdict, would_change: &self.would_change }
    }
}

impl Routing {
    /// Answers a question.
    ///
    /// `reach` are the billers that the asker may see; none: all. Billers out of reach are as if they were not there: a
    /// question that names one is refused as for any that is not there, and a username or an address that concerns one is
    /// answered as one that nobody has.
    ///
    /// # Errors
    /// The question cannot be asked like this, or the billers cannot be read.
    pub async fn ask(&self, question: &Question, reach: Option<&[Slug]>) -> Result<Answer, QuestionError> {
        let billers = self.directory.billers().await?;
        let reaches = |slug: &Slug| reach.is_none_or(|reach| reach.contains(slug));
        question.check_billers(&|slug| billers.by_slug(slug).is_some() && reaches(slug))?;
        let found = self.address_of(question.entry.as_deref().unwrap_or("/login"), &billers, &reaches)?;
        let name = question.username.as_deref().map(TypedName::parse).transpose()?;
        if found.entry == Entry::Shared && name.is_none() {
            return Err(QuestionError::UsernameMissing);
        }
        let arrival = Arrival { entry: found.entry, name, remembered: question.remembered.clone() };
        let (mut facts, billers) = self.facts(&arrival, &question.overrides()?).await;
        leave_out(&mut facts, &reaches);
        let would_change = what_would_change(&facts);
        let routed = self.decide(facts, billers);
        let locale = question.locale.unwrap_or_default();
        Ok(Answer { arrival, return_to: found.return_to, locale, routed, would_change })
    }

    fn address_of(
        &self,
        entry: &str,
        billers: &Billers,
        reaches: &dyn Fn(&Slug) -> bool,
    ) -> Result<super::Address, QuestionError> {
        let public = &self.config.server.public_url;
        // "pay.example.com/bills" is a host and a path, not a path of ours.
        let with_scheme = format!("{}://{entry}", public.scheme());
        let text = if entry.starts_with('/') || entry.contains("://") { entry } else { &with_scheme };
        let url = public.join(text).map_err(|_| QuestionError::NotAnAddress(entry.to_owned()))?;
        match address(&self.config, billers, &host_of(&url), url.path(), url.query()) {
            Some(found) if is_open(&found.entry, reaches) => Ok(found),
            _ => Err(QuestionError::NotServed(url)),
        }
    }
}

/// A path can be typed with any slug. Hosts and old addresses would tell whose they are.
fn is_open(entry: &Entry, reaches: &dyn Fn(&Slug) -> bool) -> bool {
    match entry {
        Entry::Shared | Entry::Named { via: Via::VanityPath, .. } => true,
        Entry::Named { slug, via: Via::VanityHost | Via::DeepLink } => reaches(slug),
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Takes out of the facts what the asker may not see. Facts of which a part is out of reach go as a whole: what is left would
/// be no decision that anybody ever meets.
fn leave_out(facts: &mut Facts, reaches: &dyn Fn(&Slug) -> bool) {
    if matches!(&facts.kill, Kill::BillerLegacy(slug) if !reaches(slug)) {
        facts.kill = Kill::Off;
    }
    if facts.billers().all(|biller| reaches(&biller.slug)) {
        return;
    }
    if let DirectoryFacts::Read { named, memberships } = &mut facts.directory {
        *named = named.take().filter(|biller| reaches(&biller.slug));
        memberships.clear();
    }
}

impl Question {
    /// Every biller that it names is there.
    fn check_billers(&self, is_there: &dyn Fn(&Slug) -> bool) -> Result<(), QuestionError> {
        let killed = match &self.kill {
            Some(Kill::BillerLegacy(slug)) => Some(slug),
            _ => None,
        };
        let named = [
            ("billers", self.billers.keys().collect::<Vec<_>>()),
            ("issuers", self.issuers.keys().collect()),
            ("rollouts", self.rollouts.keys().collect()),
            ("remembered", self.remembered.iter().collect()),
            ("kill", killed.into_iter().collect()),
        ];
        for (field, slugs) in named {
            if let Some(unknown) = slugs.into_iter().find(|slug| !is_there(slug)) {
                return Err(QuestionError::NoSuchBiller(field, unknown.clone()));
            }
        }
        Ok(())
    }

    fn overrides(&self) -> Result<Overrides, QuestionError> {
        let rollouts = self.rollouts.iter().map(|(slug, wish)| {
            let change = wish.read().map_err(|why| QuestionError::Rollout(slug.clone(), why))?;
            Ok((slug.clone(), change))
        });
        Ok(Overrides {
            issuers: self.issuers.iter().map(|(slug, health)| (slug.clone(), *health)).collect(),
            states: self.billers.iter().map(|(slug, state)| (slug.clone(), *state)).collect(),
            rollouts: rollouts.collect::<Result<_, QuestionError>>()?,
            directory_down: self.directory == Some(Reading::Down),
            kill: self.kill.clone(),
            at: self.at,
        })
    }
}

impl<'de> Deserialize<'de> for RolloutWish {
    /// From an object only: what is derived would take a list of the fields without names.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Fields {
            allow: Option<Vec<String>>,
            percent: Option<u8>,
        }
        let object = serde_json::Map::<String, serde_json::Value>::deserialize(deserializer)?;
        let Fields { allow, percent } =
            serde_json::from_value(object.into()).map_err(<D::Error as serde::de::Error>::custom)?;
        Ok(Self { allow, percent })
    }
}

impl RolloutWish {
    /// The rollout, with normalised usernames.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(&self) -> Result<RolloutChange, String> {
        if self.percent.is_some_and(|percent| percent > 100) {
            return Err("percent is a number from 0 to 100".to_owned());
        }
        let key = |name: &String| {
            let username = Username::parse(name).map_err(|error| format!("{name:?}: {error}"))?;
            Ok(username.as_str().to_owned())
        };
        let allow =
            self.allow.as_ref().map(|names| names.iter().map(key).collect::<Result<_, String>>()).transpose()?;
        Ok(RolloutChange { allow, percent: self.percent })
    }
}

mod kill_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use signpost_core::decision::Kill;

    pub(super) fn serialize<S: Serializer>(kill: &Option<Kill>, serializer: S) -> Result<S::Ok, S::Error> {
        match kill {
            Some(kill) => serializer.collect_str(kill),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Kill>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

mod time_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use signpost_core::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.collect_str(at),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read = |text: String| {
            let at = Timestamp::parse_rfc3339(&text);
            at.ok_or_else(|| D::Error::custom("expected a time such as 2026-11-22T08:00:00Z"))
        };
        text.map(read).transpose()
    }
}
