//! Read the facts, decide: the one caller of the decision. Login pages, API, command line and console come through here.

mod impact;
mod kill_switch;
mod simulation;

use std::sync::Arc;
use std::time::Duration;

pub use impact::{Impact, Outcome, Progress, ProposedChange, Transition};
pub use kill_switch::KillSwitch;
pub use simulation::{DirectoryAvailability, SimulationError, SimulationRequest, SimulationResponse, SimulationResult};

use crate::config::{Config, LegacyPath};
use crate::directory::{Biller, Billers, Directory, DirectoryError};
use signpost_core::decision::{
    CiamState, Directory as DirectoryFacts, EntryPoint, Facts, IssuerHealth, KillSwitchState, Verdict, Via, decide,
};
use signpost_core::{Clock, Rollout, Slug, Timestamp, Username, UsernameInput};

/// A directory that takes longer than this counts as one that cannot be read: people are waiting.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(3);

/// Somebody at the door.
#[derive(Clone, Debug)]
pub struct RoutingRequest {
    /// Where the browser came in.
    pub entry: EntryPoint,
    /// The name typed; not looked at where the address names a biller.
    pub name: Option<UsernameInput>,
    /// Billers this device remembers.
    pub remembered: Vec<Slug>,
}

/// A decision with what it stands on.
#[derive(Clone, Debug)]
pub struct RoutingResult {
    /// The facts.
    pub facts: Facts,
    /// The decision.
    pub verdict: Verdict,
    /// All billers, as of the facts; the last known ones when the directory cannot be read.
    pub billers: Arc<Billers>,
    settings: Arc<str>,
}

impl RoutingResult {
    /// What the decision log keeps: the facts as they were, the verdict, and the revision of the configuration they stand on
    /// (a number that grows with every change of billers and orders, and a fingerprint of the settings).
    pub fn details(&self) -> serde_json::Value {
        let revision = serde_json::json!({ "billers": self.billers.revision(), "settings": *self.settings });
        serde_json::json!({ "verdict": self.verdict, "facts": self.facts, "revision": revision })
    }
}

/// Facts that a simulation replaces.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Issuers that are up or down.
    pub issuers: Vec<(Slug, IssuerHealth)>,
    /// Billers in another state.
    pub states: Vec<(Slug, CiamState)>,
    /// Billers with another rollout, normalized.
    pub rollouts: Vec<(Slug, Rollout)>,
    /// The directory cannot be read.
    pub directory_down: bool,
    /// The kill switch.
    pub kill_switch: Option<KillSwitchState>,
    /// Another moment.
    pub at: Option<Timestamp>,
}

/// Routing by the directory and the settings.
#[derive(Clone, Debug)]
pub struct Routing {
    directory: Directory,
    /// The kill switch.
    pub kill_switch: KillSwitch,
    config: Arc<Config>,
    settings: Arc<str>,
    clock: Clock,
    /// Held while everybody is counted: that takes several of the database's connections, which sign-ins need as well.
    impact_lock: Arc<tokio::sync::Mutex<()>>,
}

impl Routing {
    /// On a directory, by the settings.
    pub fn new(directory: Directory, config: Arc<Config>, clock: Clock) -> Self {
        let settings = config.fingerprint().into();
        let kill_switch = KillSwitch::new(&config.routing);
        Self { directory, kill_switch, config, settings, clock, impact_lock: Arc::default() }
    }

    /// Decides where somebody goes.
    pub async fn route(&self, routing_request: &RoutingRequest) -> RoutingResult {
        let routing_result = self.route_with_overrides(routing_request, &Overrides::default()).await;
        if routing_result.verdict.integrity_alarm {
            tracing::warn!(alarm = "integrity", "a username has two legacy billers or more");
        }
        routing_result
    }

    /// Whether a biller signs people in itself at this moment; sign-ins under way and sessions stand on the same.
    pub fn is_sign_in_enabled(&self, biller: &Biller, now: Timestamp) -> bool {
        let is_switched_off = match self.kill_switch.current(&self.directory.last_known_billers()) {
            KillSwitchState::Off => false,
            KillSwitchState::AllLegacy | KillSwitchState::Hold => true,
            KillSwitchState::BillerLegacy(slug) => slug == biller.slug,
        };
        !is_switched_off && !biller.settings.paused && biller.is_active(now)
    }

    /// Decides where somebody would go if the facts were different. Reads only.
    pub async fn route_with_overrides(&self, routing_request: &RoutingRequest, overrides: &Overrides) -> RoutingResult {
        let (facts, billers) = self.facts(routing_request, overrides).await;
        self.decide(facts, billers)
    }

    fn decide(&self, facts: Facts, billers: Arc<Billers>) -> RoutingResult {
        let verdict = decide(&facts);
        RoutingResult { facts, verdict, billers, settings: Arc::clone(&self.settings) }
    }

    async fn facts(&self, routing_request: &RoutingRequest, overrides: &Overrides) -> (Facts, Arc<Billers>) {
        let (directory, billers) = if overrides.directory_down {
            (DirectoryFacts::Unavailable, self.directory.last_known_billers())
        } else {
            self.read(routing_request).await
        };
        let mut facts = Facts {
            now: overrides.at.unwrap_or_else(|| self.clock.now()),
            kill_switch: overrides.kill_switch.clone().unwrap_or_else(|| self.kill_switch.current(&billers)),
            entry: routing_request.entry.clone(),
            directory,
            directory_policy: self.config.routing.directory_down,
            remembered: routing_request.remembered.clone(),
        };
        overrides
            .apply(&mut facts, routing_request.name.as_ref().and_then(UsernameInput::username).map(Username::as_str));
        (facts, billers)
    }

    async fn read(&self, routing_request: &RoutingRequest) -> (DirectoryFacts, Arc<Billers>) {
        match tokio::time::timeout(DIRECTORY_TIMEOUT, self.read_directory(routing_request)).await {
            Ok(Ok(read)) => return read,
            Ok(Err(error)) => tracing::error!(error = %error, "the directory cannot be read"),
            Err(_) => tracing::error!("the directory does not answer"),
        }
        (DirectoryFacts::Unavailable, self.directory.last_known_billers())
    }

    async fn read_directory(
        &self,
        routing_request: &RoutingRequest,
    ) -> Result<(DirectoryFacts, Arc<Billers>), DirectoryError> {
        match &routing_request.entry {
            EntryPoint::Shared => {
                let username = routing_request.name.as_ref().and_then(UsernameInput::username);
                let found = self.directory.look_up(username).await?;
                Ok((DirectoryFacts::Read { named: None, memberships: found.memberships }, found.billers))
            }
            EntryPoint::Named { slug, .. } => {
                // Somebody on the way from a notice has a name: whether they have a legacy account matters here as well.
                let (billers, mut memberships) = match routing_request.name.as_ref().and_then(UsernameInput::username) {
                    Some(username) => {
                        let found = self.directory.look_up(Some(username)).await?;
                        (found.billers, found.memberships)
                    }
                    None => (self.directory.billers().await?, Vec::new()),
                };
                memberships.retain(|membership| membership.biller.slug == *slug);
                let named = billers.by_slug(slug).map(|biller| biller.facts());
                Ok((DirectoryFacts::Read { named, memberships }, billers))
            }
        }
    }
}

impl Overrides {
    fn apply(&self, facts: &mut Facts, username_key: Option<&str>) {
        for biller in facts.billers_mut() {
            if let Some((_, health)) = self.issuers.iter().rfind(|(slug, _)| *slug == biller.slug) {
                biller.issuer = *health;
            }
            if let Some((_, state)) = self.states.iter().rfind(|(slug, _)| *slug == biller.slug) {
                biller.state = *state;
                // "Were it active" means now, not from its activation date on.
                biller.active_from = None;
            }
            if let Some(rollout) = self.rollout_of(&biller.slug) {
                biller.rollout = rollout.into();
            }
        }
        let DirectoryFacts::Read { memberships, .. } = &mut facts.directory else { return };
        for membership in memberships {
            if let (Some(rollout), Some(key)) = (self.rollout_of(&membership.biller.slug), username_key) {
                membership.allow_listed = rollout.lists(key);
            }
        }
    }

    fn rollout_of(&self, slug: &Slug) -> Option<&Rollout> {
        self.rollouts.iter().rfind(|(of, _)| of == slug).map(|(_, rollout)| rollout)
    }
}

/// What an address means.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedEntryPoint {
    /// The entry it is.
    pub entry: EntryPoint,
    /// A return target that the address itself stands for.
    pub return_to: Option<String>,
}

/// Reads an address as the gateway would: shared entry, vanity path, vanity host or mapped legacy address.
pub fn resolve_entry_point(
    config: &Config,
    billers: &Billers,
    host: &str,
    path: &str,
    query: Option<&str>,
) -> Option<ResolvedEntryPoint> {
    if host != public_host(config) {
        let slug = billers.by_host(host)?.slug.clone();
        return Some(ResolvedEntryPoint { entry: EntryPoint::Named { slug, via: Via::VanityHost }, return_to: None });
    }
    if matches!(path, "/" | "/login") {
        return Some(ResolvedEntryPoint { entry: EntryPoint::Shared, return_to: None });
    }
    if let Some(slug) = path.strip_prefix("/b/").and_then(|slug| Slug::parse(slug).ok()) {
        return Some(ResolvedEntryPoint { entry: EntryPoint::Named { slug, via: Via::VanityPath }, return_to: None });
    }
    let mapped = config.legacy_paths.iter().filter(|mapped| mapped.path == path);
    // The most exact mapping wins: one with a parameter before one without.
    let (exact, plain): (Vec<_>, Vec<_>) = mapped.partition(|mapped| mapped.query.is_some());
    let found = exact.into_iter().find(|mapped| has_parameter(mapped, query)).or_else(|| plain.first().copied())?;
    let entry = match &found.biller {
        Some(slug) => EntryPoint::Named { slug: slug.clone(), via: Via::DeepLink },
        None => EntryPoint::Shared,
    };
    Some(ResolvedEntryPoint { entry, return_to: found.return_to.clone() })
}

fn has_parameter(mapped: &LegacyPath, query: Option<&str>) -> bool {
    let Some((name, value)) = mapped.query.as_deref().and_then(|pair| pair.split_once('=')) else { return false };
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(n, v)| n.eq_ignore_ascii_case(name) && v == value)
}

/// The address of a biller to be kept and handed out: its own host where it has one, else its path with us.
pub fn biller_login_url(config: &Config, biller: &Biller) -> String {
    let public = &config.server.public_url;
    match biller.hosts.first() {
        Some(host) => format!("{}://{host}", public.scheme()),
        None => format!("{}b/{}", public, biller.slug),
    }
}

/// The public host as it stands in the `Host` header.
pub fn public_host(config: &Config) -> String {
    let url = &config.server.public_url;
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
