//! What a change would do: everybody whom it concerns is decided before and after it, by the same function as sign-ins.
//!
//! People are counted by username, as routing knows them. Only names with a membership at a changed biller can be taken
//! elsewhere, so these are gone through, page by page; what they have at other billers counts as well. Names that are alike in
//! everything the decision looks at are decided once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::{RolloutWish, Routing};
use crate::directory::{Biller, Billers, DirectoryError, Name, Part};
use signpost_core::BillerId;
use signpost_core::decision::{
    self, CiamState, Decision, Directory as DirectoryFacts, Entry, Facts, Membership, decide, sticky_bucket,
};
use signpost_core::text::mask;

/// Memberships that are read at once.
const PAGE: usize = 8_000;
/// A biller's members are gone through in parts, so that several connections, and processors, are at it.
const PARTS: u64 = 16;
const PARTS_AT_ONCE: usize = 4;
/// Kinds of names that are kept in mind; beyond this they are decided anew, so that memory stays bounded.
const KINDS: usize = 50_000;
/// Samples of each move.
const SAMPLES: usize = 5;

/// A change of one biller. What is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Its state: `active` enables or resumes it from now on, `suspended` switches it off.
    pub state: Option<CiamState>,
    /// For whom it counts as moved.
    pub rollout: Option<RolloutWish>,
}

impl Change {
    /// The change in words for the audit trail, without usernames.
    pub fn told(&self) -> String {
        let state = self.state.map(|state| format!("state {}", state.as_str()));
        let rollout = self.rollout.as_ref().map(|rollout| match (&rollout.allow, rollout.percent) {
            (None, None) => "rollout for everybody".to_owned(),
            (list, percent) => {
                let listed = list.as_ref().map(|list| format!("{} listed", list.len()));
                let share = percent.map(|percent| format!("{percent} %"));
                format!("rollout for {}", listed.into_iter().chain(share).collect::<Vec<_>>().join(" and "))
            }
        });
        state.into_iter().chain(rollout).collect::<Vec<_>>().join(", ")
    }

    /// The biller as it would be.
    ///
    /// # Errors
    /// What is wrong with the rollout, in words.
    pub fn applied(&self, biller: &Biller) -> Result<Biller, String> {
        let mut after = biller.clone();
        if let Some(state) = self.state {
            after.state = state;
            after.active_from = None;
        }
        if let Some(rollout) = &self.rollout {
            let rollout = rollout.read()?;
            after.settings.rollout_allow = rollout.allow;
            after.settings.rollout_percent = rollout.percent;
        }
        Ok(after)
    }
}

/// What a change would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Impact {
    /// Usernames that were looked at: all that have a membership at a changed biller.
    pub usernames: u64,
    /// Those that would be taken elsewhere.
    pub changed: u64,
    /// Those that would become ambiguous: row 5 or 6, and neither before.
    pub ambiguous: u64,
    /// Those that would have nowhere to go: the hold page, or no legacy account that works, and neither before.
    pub dead_ended: u64,
    /// From where to where, the most first.
    pub moves: Vec<Move>,
}

/// Usernames that would be taken from one place to another.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Move {
    /// Where they are taken now.
    pub from: Place,
    /// Where they would be taken.
    pub to: Place,
    /// How many.
    pub usernames: u64,
    /// Some of them, masked.
    pub samples: Vec<String>,
}

/// A place of the routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Place {
    /// The row.
    pub row: u8,
    /// Where to.
    pub decision: Decision,
}

impl Place {
    fn is_ambiguous(self) -> bool {
        matches!(self.row, 5 | 6)
    }

    /// Recovery without being ambiguous, or with several legacy billers, is for those whose legacy accounts do not work.
    fn is_dead_end(self) -> bool {
        match self.decision {
            Decision::HoldPage => true,
            Decision::Recovery => self.row != 5,
            _ => false,
        }
    }
}

/// Usernames gone through so far, and about how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// So far.
    pub done: u64,
    /// In all.
    pub total: u64,
}

impl Routing {
    /// What would become of everybody if these billers were as they are here; one count at a time, further ones wait. `told` is
    /// called at the beginning and after each page.
    ///
    /// # Errors
    /// The database failed.
    pub async fn impact(&self, changed: &[Biller], told: &(dyn Fn(Progress) + Sync)) -> Result<Impact, DirectoryError> {
        let _turn = self.counting.lock().await;
        let billers = self.directory.billers().await?;
        let tally = Mutex::new(Tally::new(self.common_facts(&billers), &billers, changed));
        let mut total = 0;
        for biller in changed {
            total += self.directory.count_memberships(&biller.id).await?;
        }
        told(Progress { done: 0, total });
        for (turn, biller) in changed.iter().enumerate() {
            // A new one has no members.
            if billers.by_id(&biller.id).is_none() {
                continue;
            }
            let parts = self.directory.divide(&biller.id, PARTS).await?;
            let work =
                parts.into_iter().map(|part| self.count_part(part, biller, &changed[..turn], (&tally, total, told)));
            let () = stream::iter(work).buffer_unordered(PARTS_AT_ONCE).try_collect().await?;
        }
        Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner).into_impact())
    }

    async fn count_part(
        &self,
        part: Part,
        biller: &Biller,
        before: &[Biller],
        (tally, total, told): (&Mutex<Tally>, u64, &(dyn Fn(Progress) + Sync)),
    ) -> Result<(), DirectoryError> {
        let mut rest = Some(part);
        while let Some(part) = rest {
            let page = self.directory.names_of(&biller.id, &part, PAGE).await?;
            let done = {
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                page.names.iter().for_each(|name| tally.count(name, &biller.id, before));
                tally.seen
            };
            told(Progress { done, total });
            rest = page.rest;
        }
        Ok(())
    }

    /// What is the same for everybody at the shared address.
    fn common_facts(&self, billers: &Billers) -> Facts {
        Facts {
            now: self.clock.now(),
            kill: self.kill_switch.now(billers),
            entry: Entry::Shared,
            directory: DirectoryFacts::Unavailable,
            directory_policy: self.config.routing.directory_down,
            remembered: Vec::new(),
        }
    }
}

/// A biller before or after, made ready to be asked a million times.
struct Side {
    facts: decision::Biller,
    allowed: HashSet<String>,
}

impl Side {
    fn new(biller: &Biller) -> Self {
        let allowed = biller.settings.rollout_allow.iter().flatten().cloned().collect();
        Self { facts: biller.facts(), allowed }
    }

    fn membership(&self, key: &str, legacy_account: bool) -> Membership {
        let has_percent = self.facts.rollout.percent.is_some();
        Membership {
            biller: self.facts.clone(),
            legacy_account,
            allow_listed: self.allowed.contains(key),
            bucket: if has_percent { sticky_bucket(&self.facts.slug, key) } else { 0 },
        }
    }

    /// Whether the rollout has reached this name.
    fn has_reached(&self, key: &str) -> bool {
        let rollout = self.facts.rollout;
        (!rollout.allow_list && rollout.percent.is_none())
            || self.allowed.contains(key)
            || rollout.percent.is_some_and(|percent| sticky_bucket(&self.facts.slug, key) < percent)
    }
}

/// What the decision looks at of a membership: biller, legacy account, and whether the rollouts have reached the name.
type Kind = Vec<(usize, bool, bool, bool)>;

struct Tally {
    common: Facts,
    /// Every biller before and after, and where each is.
    sides: Vec<(Side, Side)>,
    places: HashMap<String, usize>,
    kinds: HashMap<Kind, (Place, Place)>,
    moves: BTreeMap<(Place, Place), (u64, Vec<String>)>,
    impact: Impact,
    /// Members gone through.
    seen: u64,
}

impl Tally {
    fn new(common: Facts, billers: &Billers, changed: &[Biller]) -> Self {
        let (mut sides, mut places) = (Vec::new(), HashMap::new());
        for (at, biller) in billers.iter().enumerate() {
            let after = changed.iter().find(|after| after.id == biller.id);
            sides.push((Side::new(biller), Side::new(after.unwrap_or(biller))));
            places.insert(biller.id.to_string(), at);
        }
        let (kinds, moves) = (HashMap::new(), BTreeMap::new());
        Self { common, sides, places, kinds, moves, impact: Impact::default(), seen: 0 }
    }

    /// Counts a name of a changed biller, unless it was counted at one of those before.
    fn count(&mut self, name: &Name, biller: &BillerId, before: &[Biller]) {
        self.seen += 1;
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
        self.impact.dead_ended += u64::from(to.is_dead_end() && !from.is_dead_end());
        let (count, samples) = self.moves.entry((from, to)).or_default();
        *count += 1;
        if samples.len() < SAMPLES {
            samples.push(mask(&name.key));
        }
    }

    fn decide(&mut self, name: &Name) -> (Place, Place) {
        let known = |(id, legacy): &(BillerId, bool)| self.places.get(id.as_str()).map(|at| (*at, *legacy));
        let mut memberships: Vec<(usize, bool)> = name.memberships.iter().filter_map(known).collect();
        // Billers stand by slug.
        memberships.sort_unstable();
        let kind: Kind = memberships
            .iter()
            .map(|(at, legacy)| {
                let (before, after) = &self.sides[*at];
                (*at, *legacy, before.has_reached(&name.key), after.has_reached(&name.key))
            })
            .collect();
        if let Some(places) = self.kinds.get(&kind) {
            return *places;
        }
        let place = |side: &dyn Fn(&(Side, Side), bool) -> Membership| {
            let memberships = memberships.iter().map(|(at, legacy)| side(&self.sides[*at], *legacy)).collect();
            let directory = DirectoryFacts::Read { named: None, memberships };
            let verdict = decide(&Facts { directory, ..self.common.clone() });
            Place { row: verdict.row, decision: verdict.decision }
        };
        let places = (
            place(&|(before, _), legacy| before.membership(&name.key, legacy)),
            place(&|(_, after), legacy| after.membership(&name.key, legacy)),
        );
        if self.kinds.len() >= KINDS {
            self.kinds.clear();
        }
        self.kinds.insert(kind, places);
        places
    }

    fn into_impact(self) -> Impact {
        let moves = self.moves.into_iter();
        let mut moves: Vec<Move> =
            moves.map(|((from, to), (usernames, samples))| Move { from, to, usernames, samples }).collect();
        moves.sort_by_key(|one| std::cmp::Reverse(one.usernames));
        Impact { moves, ..self.impact }
    }
}
