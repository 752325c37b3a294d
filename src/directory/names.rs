//! Usernames with all their memberships, page by page: for what is asked about everybody of a biller.

use super::{Directory, DirectoryError};
use crate::db::Row;
use crate::kernel::BillerId;
use crate::values;

/// From the biller's members on, since only their names are wanted; a name spans billers.
const PAGE: &str = "SELECT c.user_id, m.username_key, m.biller_id, \
     m.legacy_account + CASE WHEN u.status = 'deleted' THEN 2 ELSE 0 END \
     FROM membership c JOIN membership m ON m.username_key = c.username_key JOIN users u ON u.id = m.user_id \
     WHERE c.biller_id = $1 AND c.user_id > $2 ORDER BY c.user_id LIMIT $3";
const COUNT: &str = "SELECT count(*) FROM membership WHERE biller_id = $1";

/// A username and where it leads.
#[derive(Clone, Debug, Default)]
pub struct Name {
    /// The key it is looked up by.
    pub key: String,
    /// The billers, each with whether there is a legacy account; those of deleted users are left out.
    pub memberships: Vec<(BillerId, bool)>,
}

/// Names of a biller, and where the next ones begin.
#[derive(Clone, Debug, Default)]
pub struct NamePage {
    /// The names.
    pub names: Vec<Name>,
    /// The last member seen; none: there are no more.
    pub next: Option<String>,
}

impl Directory {
    /// The next names of a biller's members after the one seen last (none: from the first on), of about `rows` memberships.
    ///
    /// # Errors
    /// The database failed.
    pub async fn names_of(
        &self,
        biller: &BillerId,
        after: Option<&str>,
        rows: usize,
    ) -> Result<NamePage, DirectoryError> {
        let mut limit = rows;
        loop {
            let values = values![biller.as_str(), after.unwrap_or_default(), i64::try_from(limit).unwrap_or(i64::MAX)];
            let found = self.db.all(PAGE, values).await?;
            let is_last = found.len() < limit;
            let page = group(&found, is_last)?;
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
fn group(rows: &[Row], is_last: bool) -> Result<NamePage, DirectoryError> {
    let mut page = NamePage::default();
    let (mut member, mut open) = (String::new(), Name::default());
    for row in rows {
        let user = row.text(0)?;
        if user != member {
            if !member.is_empty() {
                page.names.push(std::mem::take(&mut open));
                page.next = Some(std::mem::take(&mut member));
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
        page.next = None;
        if !member.is_empty() {
            page.names.push(open);
        }
    }
    Ok(page)
}
