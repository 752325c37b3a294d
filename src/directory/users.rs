//! A user's record, and the one by which a sign-in is bound to a membership.

use super::{Directory, DirectoryError, store};
use crate::db::Row;
use crate::values;
use signpost_core::{BillerId, UserId, Username};

const SELECT_BY_USERNAME: &str = "SELECT u.id, u.username, u.status FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.username_key = $1 AND m.biller_id = $2";
const SELECT_BY_ID: &str = "SELECT u.id, u.username, u.status FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.user_id = $1 AND m.biller_id = $2";

/// Biller by biller, by the index on both.
const BILLERS_OF: &str = "SELECT b.id FROM biller b JOIN membership m ON m.biller_id = b.id AND m.user_id = $1 \
     JOIN users u ON u.id = m.user_id WHERE u.status <> 'deleted' ORDER BY b.id";
const EMAIL_OF: &str = "SELECT email FROM users WHERE id = $1";

/// A user of one biller.
#[derive(Clone, Debug)]
pub struct User {
    /// Permanent id.
    pub id: UserId,
    /// Username as it was given.
    pub username: String,
    /// Status.
    pub status: UserStatus,
}

/// Status of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// Made, not yet used.
    Created,
    /// In use.
    Active,
    /// Refused for a time.
    Suspended,
    /// Gone; the record is kept.
    Deleted,
}

impl UserStatus {
    /// Reads a status as it is written in files and in the database.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "created" => Self::Created,
            "active" => Self::Active,
            "suspended" => Self::Suspended,
            "deleted" => Self::Deleted,
            _ => return None,
        })
    }

    /// The status as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

impl Directory {
    /// The user of this biller with this username.
    ///
    /// # Errors
    /// The database failed.
    pub async fn user_by_username(
        &self,
        biller: &BillerId,
        username: &Username,
    ) -> Result<Option<User>, DirectoryError> {
        let row = self.db.one(SELECT_BY_USERNAME, values![username.as_str(), biller.as_str()]).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// The user of this biller with this id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn user_by_id(&self, biller: &BillerId, user: &UserId) -> Result<Option<User>, DirectoryError> {
        let row = self.db.one(SELECT_BY_ID, values![user.as_str(), biller.as_str()]).await?;
        row.map(|row| read(&row)).transpose()
    }
}

impl Directory {
    /// The billers a user belongs to; none for somebody deleted or unknown.
    ///
    /// # Errors
    /// The database failed.
    pub async fn billers_of(&self, user: &UserId) -> Result<Vec<BillerId>, DirectoryError> {
        let rows = self.db.all(BILLERS_OF, values![user.as_str()]).await?;
        rows.iter().map(|row| Ok(BillerId::from_stored(row.text(0)?))).collect()
    }

    /// A user's mail address; it may be empty.
    ///
    /// # Errors
    /// The database failed.
    pub async fn email_of(&self, user: &UserId) -> Result<Option<String>, DirectoryError> {
        let row = self.db.one(EMAIL_OF, values![user.as_str()]).await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }
}

fn read(row: &Row) -> Result<User, DirectoryError> {
    let status = row.text(2)?;
    Ok(User {
        id: UserId::from_stored(row.text(0)?),
        username: row.text(1)?,
        status: UserStatus::parse(&status).ok_or_else(|| store::corrupt(&format!("user status {status}")))?,
    })
}
