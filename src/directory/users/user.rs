//! The user whom a sign-in is bound to.

use crate::db::{Row, Sql};
use crate::directory::{Directory, DirectoryError, store};
use crate::{sql, values};
use signpost_core::{BillerId, UserId, Username};

const BY_USERNAME: Sql = sql!(
    "SELECT u.id, u.username, u.status FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.username_key = $1 AND m.biller_id = $2"
);
const BY_ID: Sql = sql!(
    "SELECT u.id, u.username, u.status FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.user_id = $1 AND m.biller_id = $2"
);
/// A membership has its user's name: the primary key finds it by that.
const BILLERS_OF: Sql = sql!(
    "SELECT m.biller_id AS id FROM users u JOIN membership m ON m.username_key = u.username_key AND m.user_id = u.id \
     WHERE u.id = $1 AND u.status <> 'deleted' ORDER BY m.biller_id"
);
const EMAIL: Sql = sql!("SELECT email FROM users WHERE id = $1");

/// A member of a biller.
#[derive(Clone, Debug)]
pub struct User {
    pub id: UserId,
    /// As the user's record spells it.
    pub username: String,
    pub status: UserStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// Has not signed in yet.
    Created,
    Active,
    Suspended,
    /// The record is kept.
    Deleted,
}

impl UserStatus {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "created" => Self::Created,
            "active" => Self::Active,
            "suspended" => Self::Suspended,
            "deleted" => Self::Deleted,
            _ => return None,
        })
    }

    /// The status of a row in the column `status`.
    pub(super) fn read(row: &Row) -> Result<Self, DirectoryError> {
        let status = row.text("status")?;
        Self::parse(&status).ok_or_else(|| store::corrupt(&format!("user status {status}")))
    }

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
    pub async fn user_by_username(
        &self,
        biller: &BillerId,
        username: &Username,
    ) -> Result<Option<User>, DirectoryError> {
        let row = self.db.one(BY_USERNAME, values![username.as_str(), biller.as_str()]).await?;
        row.map(|row| read(&row)).transpose()
    }

    pub async fn user_by_id(&self, biller: &BillerId, user: &UserId) -> Result<Option<User>, DirectoryError> {
        let row = self.db.one(BY_ID, values![user.as_str(), biller.as_str()]).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// The billers a user belongs to; empty for a deleted or unknown user.
    pub async fn billers_of(&self, user: &UserId) -> Result<Vec<BillerId>, DirectoryError> {
        let rows = self.db.all(BILLERS_OF, values![user.as_str()]).await?;
        rows.iter().map(|row| Ok(BillerId::from_stored(row.text("id")?))).collect()
    }

    /// May be an empty text; `None` for an unknown user.
    pub async fn email_of(&self, user: &UserId) -> Result<Option<String>, DirectoryError> {
        let row = self.db.one(EMAIL, values![user.as_str()]).await?;
        Ok(row.map(|row| row.text("email")).transpose()?)
    }
}

fn read(row: &Row) -> Result<User, DirectoryError> {
    Ok(User {
        id: UserId::from_stored(row.text("id")?),
        username: row.text("username")?,
        status: UserStatus::read(row)?,
    })
}
