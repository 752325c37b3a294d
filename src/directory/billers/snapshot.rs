//! All billers at one revision, in memory, by id, slug, host and name.

use std::collections::HashMap;
use std::sync::Arc;

use super::biller::Biller;
use super::search::{FoldedName, SIMILARITY_THRESHOLD};
use signpost_core::decision::KillSwitchState;
use signpost_core::{BillerId, Slug};

/// How many billers a search returns at most.
pub const MAX_SEARCH_RESULTS: usize = 5;

/// All billers at one revision of the database, sorted by slug.
#[derive(Debug, Default)]
pub struct Billers {
    revision: i64,
    all: Vec<Arc<Biller>>,
    /// The names, in the same order as `all`.
    names: Vec<FoldedName>,
    by_id: HashMap<String, usize>,
    by_slug: HashMap<String, usize>,
    by_host: HashMap<String, usize>,
    kill_switch: Option<KillSwitchState>,
}

impl Billers {
    pub(super) fn new(revision: i64, billers: Vec<Biller>, kill_switch: Option<KillSwitchState>) -> Self {
        let mut snapshot = Self { revision, kill_switch, ..Self::default() };
        for (at, biller) in billers.into_iter().enumerate() {
            snapshot.by_id.insert(biller.id.to_string(), at);
            snapshot.by_slug.insert(biller.slug.to_string(), at);
            for host in &biller.hosts {
                snapshot.by_host.insert(host.clone(), at);
            }
            snapshot.names.push(FoldedName::new(&biller.name));
            snapshot.all.push(Arc::new(biller));
        }
        snapshot
    }

    /// Grows with every change of billers and operational controls.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The kill switch of every instance; none if it was never set.
    pub fn kill_switch(&self) -> Option<&KillSwitchState> {
        self.kill_switch.as_ref()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Biller>> {
        self.all.iter()
    }

    /// Billers with similar names, the best match first. Private billers are never found. The result depends on nothing but the
    /// names, so the same text always finds the same billers.
    pub fn search(&self, text: &str) -> Vec<Arc<Biller>> {
        let query = FoldedName::new(text);
        let public = self.all.iter().zip(&self.names).filter(|(biller, _)| !biller.settings.private);
        let mut found: Vec<(f64, &FoldedName, &Arc<Biller>)> = public
            .map(|(biller, name)| (name.similarity(&query), name, biller))
            .filter(|(similarity, ..)| *similarity >= SIMILARITY_THRESHOLD)
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, &a.2.slug).cmp(&(b.1, &b.2.slug))));
        found.into_iter().take(MAX_SEARCH_RESULTS).map(|(.., biller)| Arc::clone(biller)).collect()
    }

    pub fn by_id(&self, id: &BillerId) -> Option<&Arc<Biller>> {
        self.by_id.get(id.as_str()).map(|at| &self.all[*at])
    }

    pub fn by_slug(&self, slug: &Slug) -> Option<&Arc<Biller>> {
        self.by_slug.get(slug.as_str()).map(|at| &self.all[*at])
    }

    /// By the `Host` header in lower case.
    pub fn by_host(&self, host: &str) -> Option<&Arc<Biller>> {
        self.by_host.get(host).map(|at| &self.all[*at])
    }
}
