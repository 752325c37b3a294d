//! The look-up: what the directory knows of an arrival. One indexed statement, whatever the outcome.

use std::sync::Arc;

use super::{Biller, Billers, Directory, DirectoryError, store};
use crate::db::Row;
use crate::values;
use signpost_core::decision::{Membership, rollout_bucket};
use signpost_core::{BillerId, Slug, Username};

/// The left join gives one row at least, so that a name nobody has costs the same statement and the same parsing.
const LOOKUP: &str = "SELECT r.value, m.biller_id, m.legacy_account, u.status FROM revision r \
     LEFT JOIN membership m ON m.username_key = $1 LEFT JOIN users u ON u.id = m.user_id \
     WHERE r.name = 'billers'";

/// No username can be this: what RFC 8265 refuses is looked up by it, for equal work.
const UNMATCHABLE_KEY: &str = "\u{1}";

/// What the directory knows of a username.
#[derive(Clone, Debug)]
pub struct UsernameLookup {
    /// All billers, as of this look-up.
    pub billers: Arc<Billers>,
    /// The username's memberships, deleted users left out, by slug.
    pub memberships: Vec<Membership>,
}

impl Directory {
    /// Looks a username up across billers; none is a name that nobody can have.
    ///
    /// # Errors
    /// The database failed.
    pub async fn look_up(&self, username: Option<&Username>) -> Result<UsernameLookup, DirectoryError> {
        let key = username.map_or(UNMATCHABLE_KEY, Username::as_str);
        let rows = self.db.all(LOOKUP, values![key]).await?;
        let revision = rows.first().map_or_else(|| Err(store::corrupt("no revision")), |row| Ok(row.int(0)?))?;
        let billers = self.billers_at(revision).await?;
        let mut memberships = Vec::new();
        for row in &rows {
            if let Some((biller, legacy_account)) = read(row, &billers)? {
                memberships.push(membership(biller, key, legacy_account));
            }
        }
        memberships.sort_by(|a, b| a.biller.slug.cmp(&b.biller.slug));
        Ok(UsernameLookup { billers, memberships })
    }

    /// The biller that an address names, with all billers as of now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn biller_by_slug(&self, slug: &Slug) -> Result<Option<Arc<Biller>>, DirectoryError> {
        Ok(self.billers().await?.by_slug(slug).cloned())
    }
}

fn read<'b>(row: &Row, billers: &'b Billers) -> Result<Option<(&'b Biller, bool)>, DirectoryError> {
    let Some(biller_id) = row.opt_text(1)? else { return Ok(None) };
    if row.opt_text(3)?.as_deref() == Some("deleted") {
        return Ok(None);
    }
    let legacy_account = row.opt_int(2)?.unwrap_or(0) != 0;
    // A biller younger than our copy: the revision would have told; skipping it is the answer of a moment ago.
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
