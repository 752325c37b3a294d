//! How people are reached: accounts by mail address, mail addresses by username. For mails, never for an answer.

use serde::{Deserialize, Serialize};

use super::{Directory, DirectoryError};
use crate::db::Row;
use crate::values;
use signpost_core::{BillerId, UserId, Username};

/// More accounts than this are no one person's.
const MAX_CONTACTS: i64 = 100;

/// The second condition lets SQLite use its index, which leaves empty addresses out.
const BY_ADDRESS: &str = "SELECT m.biller_id, u.id, u.username, u.email FROM users u \
     JOIN membership m ON m.username_key = u.username_key AND m.user_id = u.id \
     WHERE u.email_key = $1 AND u.email_key <> '' AND u.status <> 'deleted' ORDER BY u.username, m.biller_id LIMIT $2";
const ADDRESSES: &str = "SELECT DISTINCT u.email_key FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.username_key = $1 AND u.email_key <> '' AND u.status <> 'deleted' ORDER BY u.email_key LIMIT $2";
const AT_BILLER: &str = "SELECT m.biller_id, u.id, u.username, u.email FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.username_key = $1 AND m.biller_id = $2 AND u.status <> 'deleted'";

/// An account of somebody at a biller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserContact {
    /// The biller.
    pub biller: BillerId,
    /// The user.
    pub user: UserId,
    /// The username, as it was given.
    pub username: String,
    /// The mail address, as it was given; may be empty.
    pub email: String,
}

impl Directory {
    /// The accounts with a mail address, without regard to case; deleted users have none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn contacts_by_email(&self, address: &str) -> Result<Vec<UserContact>, DirectoryError> {
        let rows = self.db.all(BY_ADDRESS, values![address.to_lowercase(), MAX_CONTACTS]).await?;
        rows.iter().map(read).collect()
    }

    /// The mail addresses of those who have a username, in lower case: one name may be several people.
    ///
    /// # Errors
    /// The database failed.
    pub async fn emails_by_username(&self, username_key: &str) -> Result<Vec<String>, DirectoryError> {
        let rows = self.db.all(ADDRESSES, values![username_key, MAX_CONTACTS]).await?;
        rows.iter().map(|row| Ok(row.text(0)?)).collect()
    }

    /// The account with a username at a biller.
    ///
    /// # Errors
    /// The database failed.
    pub async fn contact_at(
        &self,
        biller: &BillerId,
        username: &Username,
    ) -> Result<Option<UserContact>, DirectoryError> {
        let row = self.db.one(AT_BILLER, values![username.as_str(), biller.as_str()]).await?;
        row.map(|row| read(&row)).transpose()
    }
}

fn read(row: &Row) -> Result<UserContact, DirectoryError> {
    Ok(UserContact {
        biller: BillerId::from_stored(row.text(0)?),
        user: UserId::from_stored(row.text(1)?),
        username: row.text(2)?,
        email: row.text(3)?,
    })
}
