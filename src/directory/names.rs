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
const AT: &str = "SELECT user_id FROM membership WHERE biller_id = $1 ORDER BY user_id LIMIT 1 OFFSET $2";
/// Comes after every id.
const END: &str = "z";
const COUNT: &str = "SELECT count(*) FROM membership WHERE biller_id = $1";

/// A username and where it leads.
#[derive(Clone, Debug, Default)]
pub struct Name {
    /// The key it is looked up by.
    pub key: String,
    /// The billers, each with whether there is a legacy account; those of deleted users are left out.
    pub memberships: Vec<(BillerId, bool)>,
}

/// A part of a biller's members, by id: those after the first one here, up to the second.
#[derive(Clone, Debug)]
pub struct Part {
    /// Not this one.
    pub after: String,
    /// This one is the last.
    pub until: String,
}

/// Names of a biller, and where the next ones begin.
#[derive(Clone, Debug, Default)]
pub struct NamePage {
    /// The names.
    pub names: Vec<Name>,
    /// What is left of the part; none: nothing.
    pub rest: Option<Part>,
}

impl Directory {
    /// A biller's members in so many parts of one size, as far as they reach.
    ///
    /// # Errors
    /// The database failed.
    pub async fn divide(&self, biller: &BillerId, parts: u64) -> Result<Vec<Part>, DirectoryError> {
        let all = self.count_memberships(biller).await?;
        let mut divided = vec![Part { after: String::new(), until: END.to_owned() }];
        for part in 1..parts.min(all) {
            let place = i64::try_from(all * part / parts).unwrap_or(i64::MAX);
            let Some(row) = self.db.one(AT, values![biller.as_str(), place]).await? else { break };
            let at = row.text(0)?;
            if let Some(last) = divided.last_mut() {
                last.until.clone_from(&at);
            }
            divided.push(Part { after: at, until: END.to_owned() });
        }
        Ok(divided)
    }

    /// The first names of a part of a biller's members, of about `rows` memberships.
    ///
    /// # Errors
    /// The database failed.
    pub async fn names_of(&self, biller: &BillerId, part: &Part, rows: usize) -> Result<NamePage, DirectoryError> {
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
fn group(rows: &[Row], is_last: bool, part: &Part) -> Result<NamePage, DirectoryError> {
    let mut page = NamePage::default();
    let (mut member, mut open) = (String::new(), Name::default());
    for row in rows {
        let user = row.text(0)?;
        if user != member {
            if !member.is_empty() {
                page.names.push(std::mem::take(&mut open));
                page.rest = Some(Part { after: std::mem::take(&mut member), until: part.until.clone() });
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
