//! Impact analysis: the effect of a change on all users. Each username is decided before and after the change, by the same
//! function as sign-ins.
//!
//! The analysis reads the usernames that have a membership at a changed biller, page by page, with all their memberships. A
//! change cannot affect another username, as long as rules see only memberships. Usernames whose memberships are alike are
//! decided once: see [`DecisionKey`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::Routing;
use crate::directory::{Biller, Billers, DirectoryError, MemberRange, UsernameMemberships};
use signpost_core::decision::{
    self, CiamState, Decision, Directory as DirectoryFacts, EntryPoint, Facts, Membership, decide, rollout_bucket,
};
use signpost_core::text::mask;
use signpost_core::{BillerId, FieldErrors, Rollout};

/// Memberships per query.
const PAGE_SIZE: usize = 8_000;
/// A biller's members are read in partitions, so that several connections and processors work on them.
const PARTITIONS: u64 = 16;
const MAX_CONCURRENT_PARTITIONS: usize = 4;
/// The cache is cleared at this size, so that memory stays bounded.
const MAX_CACHED_KEYS: usize = 50_000;
/// Samples per transition.
const MAX_SAMPLES: usize = 5;

/// A change of one biller. `None` changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProposedChange {
    /// `active` enables or resumes the biller at once. `suspended` suspends it.
    pub state: Option<CiamState>,
    pub rollout: Option<Rollout>,
}

impl ProposedChange {
    /// The change in words for the audit trail. It contains no usernames.
    pub fn summary(&self) -> String {
        let state = self.state.map(|state| format!("state {}", state.as_str()));
        let rollout = self.rollout.as_ref().map(|rollout| format!("rollout for {rollout}"));
        state.into_iter().chain(rollout).collect::<Vec<_>>().join(", ")
    }

    /// The biller after the change. The error says what is wrong with the rollout.
    pub fn apply_to(&self, biller: &Biller) -> Result<Biller, FieldErrors> {
        let mut after = biller.clone();
        if let Some(state) = self.state {
            after.state = state;
            after.active_from = None;
        }
        if let Some(rollout) = &self.rollout {
            after.settings.rollout = rollout.normalized().map_err(|errors| errors.under("rollout"))?;
        }
        Ok(after)
    }
}

/// The effect of a change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Impact {
    /// Usernames analysed: those with a membership at a changed biller.
    pub usernames: u64,
    /// Usernames whose outcome would change.
    pub changed: u64,
    /// Usernames that would become ambiguous: row 5 or 6, and neither before.
    pub ambiguous: u64,
    /// Usernames that would have no destination: the maintenance page or no usable legacy account, and neither before.
    pub no_destination: u64,
    /// The most frequent transition comes first.
    pub transitions: Vec<Transition>,
}

/// Usernames whose outcome would change in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Transition {
    /// The present outcome.
    pub from: Outcome,
    /// The outcome after the change.
    pub to: Outcome,
    pub usernames: u64,
    /// Some of the usernames, masked.
    pub samples: Vec<String>,
}

/// A decision with its row of the routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Outcome {
    pub row: u8,
    pub decision: Decision,
}

impl Outcome {
    fn is_ambiguous(self) -> bool {
        matches!(self.row, 5 | 6)
    }

    /// Outside row 5, the recovery page is for users without a usable legacy account.
    fn has_no_destination(self) -> bool {
        match self.decision {
            Decision::HoldPage => true,
            Decision::Recovery => self.row != 5,
            _ => false,
        }
    }
}

/// Memberships processed so far and an estimate of the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

impl Routing {
    /// The effect of replacing billers by `changed`. Only one analysis runs at a time; others wait. Calls `on_progress` at
    /// the start and after each page.
    pub async fn impact(
        &self,
        changed: &[Biller],
        on_progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Impact, DirectoryError> {
        let _guard = self.impact_lock.lock().await;
        let billers = self.directory.billers().await?;
        let tally = Mutex::new(Tally::new(self.common_facts(&billers), &billers, changed));
        let mut total = 0;
        for biller in changed {
            total += self.directory.count_memberships(&biller.id).await?;
        }
        on_progress(Progress { done: 0, total });
        for (index, biller) in changed.iter().enumerate() {
            // A new biller has no members.
            if billers.by_id(&biller.id).is_none() {
                continue;
            }
            let parts = self.directory.split_members(&biller.id, PARTITIONS).await?;
            let work = parts
                .into_iter()
                .map(|part| self.count_part(part, biller, &changed[..index], (&tally, total, on_progress)));
            let () = stream::iter(work).buffer_unordered(MAX_CONCURRENT_PARTITIONS).try_collect().await?;
        }
        Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner).into_impact())
    }

    async fn count_part(
        &self,
        part: MemberRange,
        biller: &Biller,
        before: &[Biller],
        (tally, total, on_progress): (&Mutex<Tally>, u64, &(dyn Fn(Progress) + Sync)),
    ) -> Result<(), DirectoryError> {
        let mut rest = Some(part);
        while let Some(part) = rest {
            let page = self.directory.usernames_in(&biller.id, &part, PAGE_SIZE).await?;
            let done = {
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                page.names.iter().for_each(|name| tally.count(name, &biller.id, before));
                tally.processed
            };
            on_progress(Progress { done, total });
            rest = page.rest;
        }
        Ok(())
    }

    /// The facts that are the same for every username at the shared login page.
    fn common_facts(&self, billers: &Billers) -> Facts {
        Facts {
            kill_switch: self.kill_switch.current(billers),
            directory_policy: self.config.routing.directory_down,
            ..Facts::new(self.clock.now(), EntryPoint::Shared, DirectoryFacts::Unavailable)
        }
    }
}

/// A biller before or after the change, prepared for millions of decisions.
struct BillerSnapshot {
    facts: decision::Biller,
    allowed: HashSet<String>,
}

impl BillerSnapshot {
    fn new(biller: &Biller) -> Self {
        let allowed = biller.settings.rollout.allow.iter().flatten().cloned().collect();
        Self { facts: biller.facts(), allowed }
    }

    fn membership(&self, key: &str, legacy_account: bool) -> Membership {
        let has_percent = self.facts.rollout.percent.is_some();
        Membership {
            biller: self.facts.clone(),
            legacy_account,
            allow_listed: self.allowed.contains(key),
            bucket: if has_percent { rollout_bucket(&self.facts.slug, key) } else { 0 },
        }
    }

    /// Whether the rollout includes this username.
    fn includes(&self, key: &str) -> bool {
        let rollout = self.facts.rollout;
        (!rollout.allow_list && rollout.percent.is_none())
            || self.allowed.contains(key)
            || rollout.percent.is_some_and(|percent| rollout_bucket(&self.facts.slug, key) < percent)
    }
}

/// What a decision depends on, for each membership: the biller, the legacy account, and whether the rollouts before and
/// after the change include the username. A rule that reads another fact of the username must add it here.
type DecisionKey = Vec<(usize, bool, bool, bool)>;

struct Tally {
    common: Facts,
    /// Every biller before and after the change, and its index by id.
    snapshots: Vec<(BillerSnapshot, BillerSnapshot)>,
    indexes: HashMap<String, usize>,
    outcomes: HashMap<DecisionKey, (Outcome, Outcome)>,
    transitions: BTreeMap<(Outcome, Outcome), (u64, Vec<String>)>,
    impact: Impact,
    /// Memberships processed.
    processed: u64,
}

impl Tally {
    fn new(common: Facts, billers: &Billers, changed: &[Biller]) -> Self {
        let (mut snapshots, mut indexes) = (Vec::new(), HashMap::new());
        for (at, biller) in billers.iter().enumerate() {
            let after = changed.iter().find(|after| after.id == biller.id);
            snapshots.push((BillerSnapshot::new(biller), BillerSnapshot::new(after.unwrap_or(biller))));
            indexes.insert(biller.id.to_string(), at);
        }
        let (outcomes, transitions) = (HashMap::new(), BTreeMap::new());
        Self { common, snapshots, indexes, outcomes, transitions, impact: Impact::default(), processed: 0 }
    }

    /// Counts a username of a changed biller, unless it was counted at one of the billers `before`.
    fn count(&mut self, name: &UsernameMemberships, biller: &BillerId, before: &[Biller]) {
        self.processed += 1;
        let belongs = |to: &BillerId| name.memberships.iter().any(|(id, _)| id == to);
        if !belongs(biller) || before.iter().any(|earlier| belongs(&earlier.id)) {
            return;
        }
        self.impact.usernames += 1;
        let (from, to) = self.decide(name);
        if from == to {
            return;
        }
        self.impact.changed += 1;
        self.impact.ambiguous += u64::from(to.is_ambiguous() && !from.is_ambiguous());
        self.impact.no_destination += u64::from(to.has_no_destination() && !from.has_no_destination());
        let (count, samples) = self.transitions.entry((from, to)).or_default();
        *count += 1;
        if samples.len() < MAX_SAMPLES {
            samples.push(mask(&name.key));
        }
    }

    fn decide(&mut self, name: &UsernameMemberships) -> (Outcome, Outcome) {
        let known = |(id, legacy): &(BillerId, bool)| self.indexes.get(id.as_str()).map(|at| (*at, *legacy));
        let mut memberships: Vec<(usize, bool)> = name.memberships.iter().filter_map(known).collect();
        // The billers are sorted by slug, as in the facts of a sign-in.
        memberships.sort_unstable();
        let key: DecisionKey = memberships
            .iter()
            .map(|(at, legacy)| {
                let (before, after) = &self.snapshots[*at];
                (*at, *legacy, before.includes(&name.key), after.includes(&name.key))
            })
            .collect();
        if let Some(outcome_pair) = self.outcomes.get(&key) {
            return *outcome_pair;
        }
        let decide_with = |snapshot: &dyn Fn(&(BillerSnapshot, BillerSnapshot), bool) -> Membership| {
            let memberships = memberships.iter().map(|(at, legacy)| snapshot(&self.snapshots[*at], *legacy)).collect();
            let directory = DirectoryFacts::Read { named: None, memberships };
            let verdict = decide(&Facts { directory, ..self.common.clone() });
            Outcome { row: verdict.row, decision: verdict.decision }
        };
        let outcome_pair = (
            decide_with(&|(before, _), legacy| before.membership(&name.key, legacy)),
            decide_with(&|(_, after), legacy| after.membership(&name.key, legacy)),
        );
        if self.outcomes.len() >= MAX_CACHED_KEYS {
            self.outcomes.clear();
        }
        self.outcomes.insert(key, outcome_pair);
        outcome_pair
    }

    fn into_impact(self) -> Impact {
        let transitions = self.transitions.into_iter();
        let mut transitions: Vec<Transition> =
            transitions.map(|((from, to), (usernames, samples))| Transition { from, to, usernames, samples }).collect();
        transitions.sort_by_key(|one| std::cmp::Reverse(one.usernames));
        Impact { transitions, ..self.impact }
    }
}
