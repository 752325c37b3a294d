//! Reads the facts and decides. Only this module calls the decision. Login pages, API, command line and console use it.

mod impact;
mod kill_switch;
mod simulation;

use std::sync::Arc;
use std::time::Duration;

pub use impact::{Impact, Outcome, Progress, ProposedChange, Transition};
pub use kill_switch::KillSwitch;
pub use simulation::{DirectoryAvailability, SimulationError, SimulationRequest, SimulationResponse, SimulationResult};

use crate::config::{Config, LegacyPath};
use crate::db::is_logged;
use crate::directory::{Biller, Billers, Directory, DirectoryError};
use crate::telemetry::Condition;
use crate::telemetry::traces::{self, NewSpan};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use signpost_core::decision::{
    CiamState, Directory as DirectoryFacts, EntryPoint, Facts, IssuerHealth, KillSwitchState, Rule, Verdict, Via,
    decide,
};
use signpost_core::{Clock, Rollout, Slug, Timestamp, Username, UsernameInput, paths};

/// A slower directory counts as unavailable, because a customer waits.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(3);
/// The kill switch file sends everyone to the legacy login; the directory only tells who has no account there.
const OVERRIDDEN_TIMEOUT: Duration = Duration::from_millis(300);

#[derive(Clone, Debug)]
pub struct RoutingRequest {
    pub entry: EntryPoint,
    /// The username as typed. At a named entry point only its membership there counts.
    pub name: Option<UsernameInput>,
    pub remembered: Vec<Slug>,
}

impl RoutingRequest {
    fn username(&self) -> Option<&Username> {
        self.name.as_ref().and_then(UsernameInput::username)
    }
}

/// A decision with its facts.
#[derive(Clone, Debug)]
pub struct RoutingResult {
    pub facts: Facts,
    pub verdict: Verdict,
    /// All billers at the time of the facts, or the last known ones if the directory is unavailable.
    pub billers: Arc<Billers>,
    settings: Arc<str>,
}

impl RoutingResult {
    /// What the decision log stores beside the outcome, as JSON: facts, rule and revision. The revision is a number that grows
    /// with every change of billers and operational controls, a fingerprint of the configuration, and the version of Signpost.
    pub fn details(&self) -> String {
        let revision =
            Revision { billers: self.billers.revision(), settings: &self.settings, program: env!("CARGO_PKG_VERSION") };
        let details = Details { rule: self.verdict.rule, facts: &self.facts, revision };
        serde_json::to_string(&details).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Details<'a> {
    rule: Rule,
    facts: &'a Facts,
    revision: Revision<'a>,
}

#[derive(Serialize)]
struct Revision<'a> {
    billers: i64,
    settings: &'a str,
    program: &'a str,
}

/// Facts that a simulation replaces. `None` and empty lists change nothing.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub issuers: Vec<(Slug, IssuerHealth)>,
    pub states: Vec<(Slug, CiamState)>,
    pub rollouts: Vec<(Slug, Rollout)>,
    pub directory_down: bool,
    pub kill_switch: Option<KillSwitchState>,
    pub at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Routing {
    directory: Directory,
    pub kill_switch: KillSwitch,
    config: Arc<Config>,
    settings: Arc<str>,
    clock: Clock,
    /// Held during an impact analysis, which uses several database connections. Sign-ins need some as well.
    impact_lock: Arc<tokio::sync::Mutex<()>>,
    /// Whether the directory cannot be read at the moment.
    unreadable: Arc<Condition>,
}

impl Routing {
    pub fn new(directory: Directory, config: Arc<Config>, clock: Clock) -> Self {
        let settings = config.fingerprint().into();
        let kill_switch = KillSwitch::new(&config.routing);
        Self {
            directory,
            kill_switch,
            config,
            settings,
            clock,
            impact_lock: Arc::default(),
            unreadable: Arc::default(),
        }
    }

    /// Takes the place of another one under other settings.
    #[must_use]
    pub fn continuing(self, previous: &Self) -> Self {
        Self {
            kill_switch: self.kill_switch.continuing(&previous.kill_switch),
            impact_lock: Arc::clone(&previous.impact_lock),
            unreadable: Arc::clone(&previous.unreadable),
            ..self
        }
    }

    pub async fn route(&self, routing_request: &RoutingRequest) -> RoutingResult {
        let routing_result = self.route_with_overrides(routing_request, &Overrides::default()).await;
        if routing_result.verdict.integrity_alarm {
            tracing::warn!(alarm = "integrity", "a username has two or more legacy billers");
        }
        routing_result
    }

    /// Whether users can sign in at the biller's SecureAuth login now. Running sign-ins and sessions check it too.
    pub fn is_sign_in_enabled(&self, biller: &Biller, now: Timestamp) -> bool {
        let is_overridden = match self.kill_switch.current(&self.directory.last_known_billers()) {
            KillSwitchState::Off => false,
            KillSwitchState::AllLegacy | KillSwitchState::Hold => true,
            KillSwitchState::BillerLegacy(slug) => slug == biller.slug,
        };
        !is_overridden && !biller.settings.paused && biller.is_active(now)
    }

    /// Decides with some facts replaced. Has no side effects.
    pub async fn route_with_overrides(&self, routing_request: &RoutingRequest, overrides: &Overrides) -> RoutingResult {
        let decided = async {
            let (facts, billers) = self.facts(routing_request, overrides).await;
            let result = self.decide(facts, billers);
            traces::note("signpost.decision.row", i64::from(result.verdict.row));
            traces::note("signpost.decision.rule", result.verdict.rule.as_str());
            result
        };
        traces::in_span(|| NewSpan::step("decide"), decided).await
    }

    fn decide(&self, facts: Facts, billers: Arc<Billers>) -> RoutingResult {
        let verdict = decide(&facts);
        RoutingResult { facts, verdict, billers, settings: Arc::clone(&self.settings) }
    }

    async fn facts(&self, routing_request: &RoutingRequest, overrides: &Overrides) -> (Facts, Arc<Billers>) {
        let unread = || (DirectoryFacts::Unavailable, self.directory.last_known_billers());
        // The file counts first: what it decides waits for no database.
        let file = if overrides.kill_switch.is_none() { self.kill_switch.in_file() } else { None };
        let (directory, billers) = match file {
            _ if overrides.directory_down => unread(),
            // A sign-in could not be completed.
            _ if self.directory.write_refusal().is_some() => unread(),
            Some(KillSwitchState::Hold) => unread(),
            Some(KillSwitchState::AllLegacy) => self.read(routing_request, OVERRIDDEN_TIMEOUT).await,
            _ => self.read(routing_request, DIRECTORY_TIMEOUT).await,
        };
        let last_known = match (&directory, &routing_request.entry) {
            (DirectoryFacts::Unavailable, EntryPoint::Named { slug, .. }) => {
                billers.by_slug(slug).map(|biller| biller.facts())
            }
            _ => None,
        };
        let mut facts = Facts {
            now: overrides.at.unwrap_or_else(|| self.clock.now()),
            kill_switch: overrides.kill_switch.clone().unwrap_or_else(|| self.kill_switch.current(&billers)),
            entry: routing_request.entry.clone(),
            username: routing_request.username().cloned(),
            directory,
            last_known,
            directory_policy: self.config.routing.directory_down,
            remembered: routing_request.remembered.clone(),
        };
        overrides.apply(&mut facts);
        (facts, billers)
    }

    async fn read(&self, routing_request: &RoutingRequest, limit: Duration) -> (DirectoryFacts, Arc<Billers>) {
        match tokio::time::timeout(limit, self.read_directory(routing_request)).await {
            Ok(Ok(read)) => {
                if let Some(lasted) = self.unreadable.ends() {
                    tracing::info!(seconds = lasted.as_secs(), "the directory can be read again");
                }
                return read;
            }
            Ok(Err(error)) if is_logged(&error) || !self.unreadable.begins() => {}
            Ok(Err(error)) => tracing::error!(error = %error, "the directory cannot be read; routing without it"),
            Err(_) if !self.unreadable.begins() => {}
            Err(_) => tracing::error!("the directory did not respond in time; routing without it"),
        }
        (DirectoryFacts::Unavailable, self.directory.last_known_billers())
    }

    async fn read_directory(
        &self,
        routing_request: &RoutingRequest,
    ) -> Result<(DirectoryFacts, Arc<Billers>), DirectoryError> {
        match &routing_request.entry {
            EntryPoint::Shared => {
                let found = self.directory.look_up(routing_request.username()).await?;
                Ok((DirectoryFacts::Read { named: None, memberships: found.memberships }, found.billers))
            }
            EntryPoint::Named { slug, .. } => {
                // A customer who comes from a bookmark notice has a username. Then the user's own legacy account counts.
                let (billers, mut memberships) = match routing_request.username() {
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
    fn apply(&self, facts: &mut Facts) {
        for biller in facts.billers_mut() {
            if let Some((_, health)) = self.issuers.iter().rfind(|(slug, _)| *slug == biller.slug) {
                biller.issuer = *health;
            }
            if let Some((_, state)) = self.states.iter().rfind(|(slug, _)| *slug == biller.slug) {
                biller.state = *state;
                // "If it were active" means now, whatever its activation date is.
                biller.active_from = None;
            }
            if let Some(rollout) = self.rollout_of(&biller.slug) {
                biller.rollout = rollout.into();
            }
        }
        let Some(username) = facts.username.clone() else { return };
        for membership in facts.memberships_mut() {
            if let Some(rollout) = self.rollout_of(&membership.biller.slug) {
                membership.allow_listed = rollout.lists(username.as_str());
            }
        }
    }

    fn rollout_of(&self, slug: &Slug) -> Option<&Rollout> {
        self.rollouts.iter().rfind(|(of, _)| of == slug).map(|(_, rollout)| rollout)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedEntryPoint {
    pub entry: EntryPoint,
    /// The return target that the address implies.
    pub return_to: Option<String>,
}

/// Resolves an address as the router does: shared login page, vanity path, vanity host or legacy deep link.
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
    if matches!(path, paths::ROOT | paths::LOGIN) {
        return Some(ResolvedEntryPoint { entry: EntryPoint::Shared, return_to: None });
    }
    if let Some(slug) = paths::parse_biller(path) {
        return Some(ResolvedEntryPoint { entry: EntryPoint::Named { slug, via: Via::VanityPath }, return_to: None });
    }
    let mapped = config.legacy_paths.iter().filter(|mapped| is_same_path(&mapped.path, path));
    // A mapping with a query parameter takes precedence over one without.
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
        .any(|(n, v)| n.eq_ignore_ascii_case(name) && v.trim_end_matches('/').to_lowercase() == value.to_lowercase())
}

/// As IIS compares paths: without regard to case, percent-encoding and slashes at the end.
fn is_same_path(mapped: &str, requested: &str) -> bool {
    let canonical = |path: &str| {
        let decoded = percent_decode_str(path).decode_utf8_lossy().to_lowercase();
        decoded.trim_end_matches('/').to_owned()
    };
    canonical(mapped) == canonical(requested)
}

/// The login address of a biller: its own host if it has one, otherwise its path on the public host.
pub fn biller_login_url(config: &Config, biller: &Biller) -> String {
    let public = &config.server.public_url;
    match biller.hosts.first() {
        Some(host) => format!("{}://{host}", public.scheme()),
        None => public.join(&paths::biller(&biller.slug)).unwrap_or_else(|_| public.clone()).into(),
    }
}

/// The public host in the form of a `Host` header.
pub fn public_host(config: &Config) -> String {
    host_of(&config.server.public_url)
}

/// The hosts of all our listeners, in the form of `Host` headers.
pub fn own_hosts(config: &Config) -> Vec<String> {
    let urls = [Some(&config.server.public_url), config.console.public_url.as_ref()];
    urls.into_iter().flatten().map(host_of).collect()
}

fn host_of(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
