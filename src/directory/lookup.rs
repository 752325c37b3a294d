//! Looks up a username across billers, with one indexed statement whatever the outcome.

use std::sync::Arc;

use super::{Biller, Billers, Directory, DirectoryError, store};
use crate::db::{Row, Sql};
use crate::telemetry::traces::{self, NewSpan};
use crate::{sql, values};
use signpost_core::decision::{Membership, rollout_bucket};
use signpost_core::{BillerId, Slug, Username};

/// The left join returns at least one row, so that an unknown username costs the same statement and the same parsing.
const LOOKUP: Sql = sql!(
    "SELECT r.value AS revision, m.biller_id, m.legacy_account, u.status FROM revision r \
     LEFT JOIN membership m ON m.username_key = $1 LEFT JOIN users u ON u.id = m.user_id \
     WHERE r.name = 'billers'"
);

/// A key that no username has. It is looked up for input that RFC 8265 rejects, for equal work.
const UNMATCHABLE_KEY: &str = "\u{1}";

/// What the directory knows of a username.
#[derive(Clone, Debug)]
pub struct UsernameLookup {
    /// All billers at the time of the lookup.
    pub billers: Arc<Billers>,
    /// Sorted by slug. Memberships of deleted users are left out.
    pub memberships: Vec<Membership>,
}

impl Directory {
    /// `None` stands for input that cannot be a username.
    pub async fn look_up(&self, username: Option<&Username>) -> Result<UsernameLookup, DirectoryError> {
        traces::in_span(|| NewSpan::step("look up username"), self.find_memberships(username)).await
    }

    async fn find_memberships(&self, username: Option<&Username>) -> Result<UsernameLookup, DirectoryError> {
        let key = username.map_or(UNMATCHABLE_KEY, Username::as_str);
        let check = self.begin_check();
        let rows = self.db.all(LOOKUP, values![key]).await?;
        let revision =
            rows.first().map_or_else(|| Err(store::corrupt("no revision")), |row| Ok(row.int("revision")?))?;
        let billers = self.billers_at(revision, check).await?;
        let mut memberships = Vec::new();
        for row in &rows {
            if let Some((biller, legacy_account)) = read(row, &billers)? {
                memberships.push(membership(biller, key, legacy_account));
            }
        }
        memberships.sort_by(|a, b| a.biller.slug.cmp(&b.biller.slug));
        Ok(UsernameLookup { billers, memberships })
    }

    /// A biller that a row of the database names. Another process may have created it a moment ago.
    pub async fn stored_biller(&self, id: &BillerId) -> Result<Option<Arc<Biller>>, DirectoryError> {
        if let Some(biller) = self.billers().await?.by_id(id) {
            return Ok(Some(Arc::clone(biller)));
        }
        Ok(self.refresh().await?.by_id(id).cloned())
    }

    pub async fn biller_by_slug(&self, slug: &Slug) -> Result<Option<Arc<Biller>>, DirectoryError> {
        Ok(self.billers().await?.by_slug(slug).cloned())
    }
}

fn read<'b>(row: &Row, billers: &'b Billers) -> Result<Option<(&'b Biller, bool)>, DirectoryError> {
    let Some(biller_id) = row.opt_text("biller_id")? else { return Ok(None) };
    if row.opt_text("status")?.as_deref() == Some("deleted") {
        return Ok(None);
    }
    let legacy_account = row.opt_int("legacy_account")?.unwrap_or(0) != 0;
    // A biller that our copy lacks was created after the revision was read: skip it, as a moment ago.
    Ok(billers.by_id(&BillerId::from_stored(biller_id)).map(|biller| (&**biller, legacy_account)))
}

fn membership(biller: &Biller, key: &str, legacy_account: bool) -> Membership {
    Membership {
        biller: biller.facts(),
        legacy_account,
        allow_listed: biller.settings.rollout.lists(key),
        bucket: rollout_bucket(&biller.slug, key),
    }
}
