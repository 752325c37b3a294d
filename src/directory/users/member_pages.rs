//! Pages through the usernames of a biller with all their memberships, for questions about every member.

use crate::db::{Row, Sql};
use crate::directory::{Directory, DirectoryError};
use crate::{sql, values};
use signpost_core::BillerId;

/// Starts from the biller's members and follows their usernames to other billers. A deleted user counts 2 in `flags`, a legacy
/// account 1.
const PAGE: Sql = sql!(
    "SELECT c.user_id, m.username_key, m.biller_id, \
     m.legacy_account + CASE WHEN u.status = 'deleted' THEN 2 ELSE 0 END AS flags \
     FROM membership c JOIN membership m ON m.username_key = c.username_key JOIN users u ON u.id = m.user_id \
     WHERE c.biller_id = $1 AND c.user_id > $2 AND c.user_id <= $3 ORDER BY c.user_id LIMIT $4"
);
const ID_AT_OFFSET: Sql =
    sql!("SELECT user_id FROM membership WHERE biller_id = $1 ORDER BY user_id LIMIT 1 OFFSET $2");
/// Sorts after every id.
const AFTER_LAST_ID: &str = "z";
const COUNT: Sql = sql!("SELECT count(*) AS count FROM membership WHERE biller_id = $1");

/// A username and its memberships.
#[derive(Clone, Debug, Default)]
pub struct UsernameMemberships {
    /// The normalised username.
    pub key: String,
    /// Billers, and whether the user has a legacy account there. Memberships of deleted users are left out.
    pub memberships: Vec<(BillerId, bool)>,
}

/// A range of a biller's members by user id.
#[derive(Clone, Debug)]
pub struct MemberRange {
    /// Exclusive.
    pub after: String,
    /// Inclusive.
    pub until: String,
}

/// Usernames of a range, and what remains of it.
#[derive(Clone, Debug, Default)]
pub struct UsernamePage {
    pub names: Vec<UsernameMemberships>,
    /// `None` on the last page.
    pub rest: Option<MemberRange>,
}

impl Directory {
    /// Splits a biller's members into ranges of equal size, at most `parts`.
    pub async fn split_members(&self, biller: &BillerId, parts: u64) -> Result<Vec<MemberRange>, DirectoryError> {
        let all = self.count_memberships(biller).await?;
        let mut ranges = vec![MemberRange { after: String::new(), until: AFTER_LAST_ID.to_owned() }];
        for part in 1..parts.min(all) {
            let offset = i64::try_from(all * part / parts).unwrap_or(i64::MAX);
            let Some(row) = self.db.one(ID_AT_OFFSET, values![biller.as_str(), offset]).await? else { break };
            let at = row.text("user_id")?;
            if let Some(last) = ranges.last_mut() {
                last.until.clone_from(&at);
            }
            ranges.push(MemberRange { after: at, until: AFTER_LAST_ID.to_owned() });
        }
        Ok(ranges)
    }

    /// Reads the first usernames of a range: about `rows` memberships.
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
            // A single username fills the page: read a larger one.
            limit *= 2;
        }
    }

    /// Counts memberships, including those of deleted users.
    pub async fn count_memberships(&self, biller: &BillerId) -> Result<u64, DirectoryError> {
        let row = self.db.one(COUNT, values![biller.as_str()]).await?;
        Ok(row.map_or(Ok(0), |row| row.int("count"))?.unsigned_abs())
    }
}

/// Groups the rows by member. The last member's rows may continue on the next page, unless this is the last one.
fn group(rows: &[Row], is_last: bool, part: &MemberRange) -> Result<UsernamePage, DirectoryError> {
    let mut page = UsernamePage::default();
    let (mut member, mut open) = (String::new(), UsernameMemberships::default());
    for row in rows {
        let user = row.text("user_id")?;
        if user != member {
            if !member.is_empty() {
                page.names.push(std::mem::take(&mut open));
                page.rest = Some(MemberRange { after: std::mem::take(&mut member), until: part.until.clone() });
            }
            member = user;
            open.key = row.text("username_key")?;
        }
        let flags = row.int("flags")?;
        if flags < 2 {
            open.memberships.push((BillerId::from_stored(row.text("biller_id")?), flags == 1));
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
