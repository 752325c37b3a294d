//! Finds users by email address and email addresses by username. The results go into emails, never into responses.

use serde::{Deserialize, Serialize};

use crate::db::{Row, Sql};
use crate::directory::{Directory, DirectoryError};
use crate::{sql, values};
use signpost_core::{BillerId, UserId, Username};

/// No person has more accounts than this.
const MAX_CONTACTS: i64 = 100;

/// The condition on empty addresses lets SQLite use its partial index.
const BY_EMAIL: Sql = sql!(
    "SELECT m.biller_id, u.id AS user_id, u.username, u.email FROM users u \
     JOIN membership m ON m.username_key = u.username_key AND m.user_id = u.id \
     WHERE u.email_key = $1 AND u.email_key <> '' AND u.status <> 'deleted' ORDER BY u.username, m.biller_id LIMIT $2"
);
const EMAILS: Sql = sql!(
    "SELECT DISTINCT u.email_key FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.username_key = $1 AND u.email_key <> '' AND u.status <> 'deleted' ORDER BY u.email_key LIMIT $2"
);
const AT_BILLER: Sql = sql!(
    "SELECT m.biller_id, u.id AS user_id, u.username, u.email FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.username_key = $1 AND m.biller_id = $2 AND u.status <> 'deleted'"
);

/// A user's membership and how to reach the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserContact {
    pub biller: BillerId,
    pub user: UserId,
    /// As the user's record spells it.
    pub username: String,
    /// As the user's record spells it; may be empty.
    pub email: String,
}

impl Directory {
    /// Memberships of users with this email address, compared without case. Deleted users are left out.
    pub async fn contacts_by_email(&self, address: &str) -> Result<Vec<UserContact>, DirectoryError> {
        let rows = self.db.all(BY_EMAIL, values![address.to_lowercase(), MAX_CONTACTS]).await?;
        rows.iter().map(read).collect()
    }

    /// Email addresses of the users with this username, in lower case. Several people may share a username.
    pub async fn emails_by_username(&self, username_key: &str) -> Result<Vec<String>, DirectoryError> {
        let rows = self.db.all(EMAILS, values![username_key, MAX_CONTACTS]).await?;
        rows.iter().map(|row| Ok(row.text("email_key")?)).collect()
    }

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
        biller: BillerId::from_stored(row.text("biller_id")?),
        user: UserId::from_stored(row.text("user_id")?),
        username: row.text("username")?,
        email: row.text("email")?,
    })
}
