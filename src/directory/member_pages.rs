//! Usernames with all their memberships, page by page: for what is asked about everybody of a biller.

use super::{Directory, DirectoryError};
use crate::db::Row;
use crate::values;
use signpost_core::BillerId;

/// From the biller's members on, since only their names are wanted; a name spans billers.
const PAGE: &str = "SELECT c.user_id, m.username_key, m.biller_id, \
     m.legacy_account + CASE WHEN u.status = 'deleted' THEN 2 ELSE 0 END \
     FROM membership c JOIN membership m ON m.username_key = c.username_key JOIN users u ON u.id = m.user_id \
     WHERE c.biller_id = $1 AND c.user_id > $2 AND c.user_id <= $3 ORDER BY c.user_id LIMIT $4";
const ID_AT_OFFSET: &str = "SELECT user_id FROM membership WHERE biller_id = $1 ORDER BY user_id LIMIT 1 OFFSET $2";
/// Comes after every id.
const AFTER_LAST_ID: &str = "z";
const COUNT: &str = "SELECT count(*) FROM membership WHERE biller_id = $1";

/// A username and where it leads.
#[derive(Clone, Debug, Default)]
pub struct UsernameMemberships {
    /// The key it is looked up by.
    pub key: String,
    /// The billers, each with whether there is a legacy account; those of deleted users are left out.
    pub memberships: Vec<(BillerId, bool)>,
}

/// A part of a biller's members, by id: those after the first one here, up to the second.
#[derive(Clone, Debug)]
pub struct MemberRange {
    /// Not this one.
    pub after: String,
    /// This one is the last.
    pub until: String,
}

/// Names of a biller, and where the next ones begin.
#[derive(Clone, Debug, Default)]
pub struct UsernamePage {
    /// The names.
    pub names: Vec<UsernameMemberships>,
    /// What is left of the part; none: nothing.
    pub rest: Option<MemberRange>,
}

impl Directory {
    /// A biller's members in so many parts of one size, as far as they reach.
    ///
    /// # Errors
    /// The database failed.
    pub async fn split_members(&self, biller: &BillerId, parts: u64) -> Result<Vec<MemberRange>, DirectoryError> {
        let all = self.count_memberships(biller).await?;
        let mut ranges = vec![MemberRange { after: String::new(), until: AFTER_LAST_ID.to_owned() }];
        for part in 1..parts.min(all) {
            let offset = i64::try_from(all * part / parts).unwrap_or(i64::MAX);
            let Some(row) = self.db.one(ID_AT_OFFSET, values![biller.as_str(), offset]).await? else { break };
            let at = row.text(0)?;
            if let Some(last) = ranges.last_mut() {
                last.until.clone_from(&at);
            }
            ranges.push(MemberRange { after: at, until: AFTER_LAST_ID.to_owned() });
        }
        Ok(ranges)
    }

    /// The first names of a part of a biller's members, of about `rows` memberships.
    ///
    /// # Errors
    /// The database failed.
    pub async fn usernames_in(
        &self,
        biller: &BillerId,
        part: &MemberRange,
        rows: usize,
    ) -> Result<UsernamePage, DirectoryError> {
        let mut limit = rows;
        loop {
            let count = i64::try_from(limit).unwrap_or(i64::MAX);
            let values = values![biller.as_str(), part.after.as_str(), part.until.as_str(), count];
            let found = self.db.all(PAGE, values).await?;
            let is_last = found.len() < limit;
            let page = group(&found, is_last, part)?;
            if is_last || !page.names.is_empty() {
                return Ok(page);
            }
            // One name has more memberships than this.
            limit *= 2;
        }
    }

    /// How many memberships a biller has, those of deleted users among them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_memberships(&self, biller: &BillerId) -> Result<u64, DirectoryError> {
        let row = self.db.one(COUNT, values![biller.as_str()]).await?;
        Ok(row.map_or(Ok(0), |row| row.int(0))?.unsigned_abs())
    }
}

/// The rows of each member together. Unless they are the last ones, the last member's may go on in the next page.
fn group(rows: &[Row], is_last: bool, part: &MemberRange) -> Result<UsernamePage, DirectoryError> {
    let mut page = UsernamePage::default();
    let (mut member, mut open) = (String::new(), UsernameMemberships::default());
    for row in rows {
        let user = row.text(0)?;
        if user != member {
            if !member.is_empty() {
                page.names.push(std::mem::take(&mut open));
                page.rest = Some(MemberRange { after: std::mem::take(&mut member), until: part.until.clone() });
            }
            member = user;
            open.key = row.text(1)?;
        }
        let flags = row.int(3)?;
        if flags < 2 {
            open.memberships.push((BillerId::from_stored(row.text(2)?), flags == 1));
        }
    }
    if is_last {
        page.rest = None;
        if !member.is_empty() {
            page.names.push(open);
        }
    }
    Ok(page)
}
