//! All billers at one revision, in memory, found by id, slug and host.

use std::collections::HashMap;
use std::sync::Arc;

use super::Biller;
use super::search::FoldedName;
use signpost_core::decision::KillSwitchState;
use signpost_core::{BillerId, Slug};

/// All billers at one revision of the database.
#[derive(Debug, Default)]
pub struct Billers {
    revision: i64,
    all: Vec<Arc<Biller>>,
    /// Their names, in the same order.
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

    /// Grows with every change of billers and orders.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The kill switch as it was set for every instance; none: never.
    pub fn kill_switch(&self) -> Option<&KillSwitchState> {
        self.kill_switch.as_ref()
    }

    /// All of them, by slug.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Biller>> {
        self.all.iter()
    }

    pub(super) fn with_names(&self) -> impl Iterator<Item = (&Arc<Biller>, &FoldedName)> {
        self.all.iter().zip(&self.names)
    }

    /// The biller with this id.
    pub fn by_id(&self, id: &BillerId) -> Option<&Arc<Biller>> {
        self.by_id.get(id.as_str()).map(|at| &self.all[*at])
    }

    /// The biller with this slug.
    pub fn by_slug(&self, slug: &Slug) -> Option<&Arc<Biller>> {
        self.by_slug.get(slug.as_str()).map(|at| &self.all[*at])
    }

    /// The biller with this host, as it stands in the `Host` header in lower case.
    pub fn by_host(&self, host: &str) -> Option<&Arc<Biller>> {
        self.by_host.get(host).map(|at| &self.all[*at])
    }
}
