//! What-if simulations for support staff, machines and the command line: where would a customer go, and why? A simulation has
//! no side effects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{Overrides, Routing, RoutingRequest, RoutingResult, resolve_entry_point};
use crate::directory::{Billers, DirectoryError};
use signpost_core::decision::{
    CiamState, Counterfactual, Directory as DirectoryFacts, EntryPoint, Facts, IssuerHealth, KillSwitchState, Verdict,
    Via, counterfactuals,
};
use signpost_core::username::UsernameError;
use signpost_core::{FieldErrors, Locale, Rollout, Slug, Timestamp, UsernameInput, paths};

/// A simulation request. Missing fields keep their present value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimulationRequest {
    /// The username that the customer types. Required at the shared login page.
    pub username: Option<String>,
    /// The address that the customer opens: a path or a URL. Default: the shared login page.
    pub entry: Option<String>,
    /// Treat billers as being in these states, effective now.
    pub billers: BTreeMap<Slug, CiamState>,
    /// Treat the identity providers of billers as up or down.
    pub issuers: BTreeMap<Slug, IssuerHealth>,
    /// Replace the rollouts of active billers, with normalized usernames.
    pub rollouts: BTreeMap<Slug, Rollout>,
    /// Treat the directory as up or down.
    pub directory: Option<DirectoryAvailability>,
    /// Replace the kill switch by `off`, `all-legacy`, `hold` or `SLUG=legacy`.
    #[serde(with = "kill_switch_text")]
    #[schema(value_type = Option<String>)]
    pub kill_switch: Option<KillSwitchState>,
    /// Decide at this time (RFC 3339).
    #[serde(with = "time_text")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// Treat the device as remembering these billers.
    pub remembered: Vec<Slug>,
    /// The language of the page. It does not influence the decision.
    pub locale: Option<Locale>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryAvailability {
    Up,
    Down,
}

#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The field, and the unknown biller that it names.
    #[error("there is no biller {1}")]
    NoSuchBiller(&'static str, Slug),
    #[error("{0:?} is not an address")]
    NotAnAddress(String),
    #[error("{0} is not an address that Signpost serves")]
    NotServed(Url),
    #[error(transparent)]
    Username(#[from] UsernameError),
    #[error("is required at the shared login page")]
    UsernameMissing,
    /// The biller, and what is wrong with its rollout.
    #[error("{0}: {1}")]
    Rollout(Slug, FieldErrors),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl SimulationError {
    /// The invalid field of the request. `None`: the request is valid, but the directory failed.
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

#[derive(Clone, Debug)]
pub struct SimulationResult {
    pub routing_request: RoutingRequest,
    /// The return target that the address implies.
    pub return_to: Option<String>,
    /// The language of the page.
    pub locale: Locale,
    pub routing_result: RoutingResult,
    pub would_change: Vec<Counterfactual>,
}

/// The result of a simulation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Simulation)]
pub struct SimulationResponse<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    would_change: &'a [Counterfactual],
}

impl SimulationResult {
    pub fn response(&self) -> SimulationResponse<'_> {
        SimulationResponse { verdict: &self.routing_result.verdict, would_change: &self.would_change }
    }
}

impl Routing {
    /// Runs a simulation.
    ///
    /// `biller_scope` are the billers that the caller may see; `None`: all. A biller out of scope behaves like an unknown one:
    /// a request that names it fails in the same way, and a username or an address of it counts as unknown.
    pub async fn simulate(
        &self,
        request: &SimulationRequest,
        biller_scope: Option<&[Slug]>,
    ) -> Result<SimulationResult, SimulationError> {
        let billers = self.directory.billers().await?;
        let in_scope = |slug: &Slug| biller_scope.is_none_or(|billers| billers.contains(slug));
        request.check_billers(&|slug| billers.by_slug(slug).is_some() && in_scope(slug))?;
        let found = self.resolve_entry(request.entry.as_deref().unwrap_or(paths::LOGIN), &billers, &in_scope)?;
        let name = request.username.as_deref().map(UsernameInput::parse).transpose()?;
        if found.entry == EntryPoint::Shared && name.is_none() {
            return Err(SimulationError::UsernameMissing);
        }
        let routing_request = RoutingRequest { entry: found.entry, name, remembered: request.remembered.clone() };
        let (mut facts, billers) = self.facts(&routing_request, &request.overrides()?).await;
        remove_out_of_scope(&mut facts, &in_scope);
        let would_change = counterfactuals(&facts);
        let routing_result = self.decide(facts, billers);
        let locale = request.locale.unwrap_or_default();
        Ok(SimulationResult { routing_request, return_to: found.return_to, locale, routing_result, would_change })
    }

    fn resolve_entry(
        &self,
        entry: &str,
        billers: &Billers,
        in_scope: &dyn Fn(&Slug) -> bool,
    ) -> Result<super::ResolvedEntryPoint, SimulationError> {
        let public = &self.config.server.public_url;
        // "pay.example.com/bills" is a host with a path.
        let with_scheme = format!("{}://{entry}", public.scheme());
        let text = if entry.starts_with('/') || entry.contains("://") { entry } else { &with_scheme };
        let url = public.join(text).map_err(|_| SimulationError::NotAnAddress(entry.to_owned()))?;
        match resolve_entry_point(&self.config, billers, &host_of(&url), url.path(), url.query()) {
            Some(found) if is_visible(&found.entry, in_scope) => Ok(found),
            _ => Err(SimulationError::NotServed(url)),
        }
    }
}

/// Anyone can type a path with any slug. Hosts and legacy addresses would reveal their biller.
fn is_visible(entry: &EntryPoint, in_scope: &dyn Fn(&Slug) -> bool) -> bool {
    match entry {
        EntryPoint::Shared | EntryPoint::Named { via: Via::VanityPath, .. } => true,
        EntryPoint::Named { slug, via: Via::VanityHost | Via::DeepLink } => in_scope(slug),
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Removes the facts that the caller may not see. If one membership is out of scope, all are removed: a decision on the rest
/// would be one that no customer ever gets.
fn remove_out_of_scope(facts: &mut Facts, in_scope: &dyn Fn(&Slug) -> bool) {
    if matches!(&facts.kill_switch, KillSwitchState::BillerLegacy(slug) if !in_scope(slug)) {
        facts.kill_switch = KillSwitchState::Off;
    }
    if facts.billers().all(|biller| in_scope(&biller.slug)) {
        return;
    }
    if let DirectoryFacts::Read { named, memberships } = &mut facts.directory {
        *named = named.take().filter(|biller| in_scope(&biller.slug));
        memberships.clear();
    }
}

impl SimulationRequest {
    fn check_billers(&self, is_there: &dyn Fn(&Slug) -> bool) -> Result<(), SimulationError> {
        let kill_switch_biller = match &self.kill_switch {
            Some(KillSwitchState::BillerLegacy(slug)) => Some(slug),
            _ => None,
        };
        let named = [
            ("billers", self.billers.keys().collect::<Vec<_>>()),
            ("issuers", self.issuers.keys().collect()),
            ("rollouts", self.rollouts.keys().collect()),
            ("remembered", self.remembered.iter().collect()),
            ("kill_switch", kill_switch_biller.into_iter().collect()),
        ];
        for (field, slugs) in named {
            if let Some(unknown) = slugs.into_iter().find(|slug| !is_there(slug)) {
                return Err(SimulationError::NoSuchBiller(field, unknown.clone()));
            }
        }
        Ok(())
    }

    fn overrides(&self) -> Result<Overrides, SimulationError> {
        let rollouts = self.rollouts.iter().map(|(slug, rollout)| {
            let rollout = rollout.normalized().map_err(|errors| SimulationError::Rollout(slug.clone(), errors))?;
            Ok((slug.clone(), rollout))
        });
        Ok(Overrides {
            issuers: self.issuers.iter().map(|(slug, health)| (slug.clone(), *health)).collect(),
            states: self.billers.iter().map(|(slug, state)| (slug.clone(), *state)).collect(),
            rollouts: rollouts.collect::<Result<_, SimulationError>>()?,
            directory_down: self.directory == Some(DirectoryAvailability::Down),
            kill_switch: self.kill_switch.clone(),
            at: self.at,
        })
    }
}

mod kill_switch_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use signpost_core::decision::KillSwitchState;

    pub(super) fn serialize<S: Serializer>(
        kill_switch: &Option<KillSwitchState>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match kill_switch {
            Some(state) => serializer.collect_str(state),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KillSwitchState>, D::Error> {
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
            let at = Timestamp::parse(&text);
            at.ok_or_else(|| {
                D::Error::custom("expected a time such as 2026-11-22T08:00:00Z or a date such as 2026-11-22")
            })
        };
        text.map(read).transpose()
    }
}
