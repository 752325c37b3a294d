//! Users with the billers they belong to, one or a page. Pages go by id after the last one seen: rows that are added
//! meanwhile neither hide an old row nor show it twice.

use std::collections::BTreeMap;

use serde_json::Value;

use super::users::UserStatus;
use super::{Directory, DirectoryError, store};
use crate::db::Row;
use crate::values;
use signpost_core::{BillerId, Timestamp, UserId, Username};

macro_rules! columns {
    ($from:literal) => {
        concat!(
            "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, ",
            "u.updated_at, u.deleted_at ",
            $from
        )
    };
}

const ONE: &str = columns!("FROM users u WHERE u.id = $1");
const ALL: &str = columns!("FROM users u WHERE u.id > $1 AND $2 LIKE '%,' || u.status || ',%' ORDER BY u.id LIMIT $3");
/// The index has no empty addresses, and is used where the statement says so.
const BY_EMAIL: &str = columns!(
    "FROM users u WHERE u.id > $1 AND $2 LIKE '%,' || u.status || ',%' AND u.email_key = $4 AND u.email_key <> '' ORDER BY u.id LIMIT $3"
);
const OF_BILLER: &str = columns!(
    "FROM membership m JOIN users u ON u.id = m.user_id WHERE m.biller_id = $4 AND m.user_id > $1 \
     AND $2 LIKE '%,' || u.status || ',%' ORDER BY m.user_id LIMIT $3"
);
const OF_BILLER_BY_EMAIL: &str = columns!(
    "FROM users u JOIN membership m ON m.user_id = u.id AND m.biller_id = $4 WHERE u.id > $1 \
     AND $2 LIKE '%,' || u.status || ',%' AND u.email_key = $5 AND u.email_key <> '' ORDER BY u.id LIMIT $3"
);
/// Biller by biller, by the index on both; those as well that SecureAuth has not been told of yet that the user left.
const BILLERS: &str = "SELECT u.id, b.id, c.version, m.user_id FROM users u JOIN biller b ON u.status <> $1 \
     LEFT JOIN membership m ON m.biller_id = b.id AND m.user_id = u.id \
     LEFT JOIN user_change c ON c.biller_id = b.id AND c.user_id = u.id \
     WHERE (m.user_id IS NOT NULL OR c.user_id IS NOT NULL) AND u.id IN";
const BY_USERNAME: &str = columns!(
    "FROM users u WHERE u.id IN (SELECT m.user_id FROM membership m WHERE m.username_key = $1) ORDER BY u.id LIMIT 50"
);
const COUNT_ALL: &str = "SELECT count(*) FROM users u WHERE $1 LIKE '%,' || u.status || ',%'";
/// Once each, at however many of them.
const COUNT_OF_BILLERS: &str = "SELECT count(DISTINCT u.id) FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE $1 LIKE '%,' || u.status || ',%' AND m.biller_id IN";
const COUNT_MEMBERS: &str = "SELECT count(*) FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted'";

/// A user's whole record.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// Permanent id.
    pub id: UserId,
    /// Username as it was given.
    pub username: String,
    /// Mail address; may be empty.
    pub email: String,
    /// First name; may be empty.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
    /// Status.
    pub status: UserStatus,
    /// More about the user, an object.
    pub attributes: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// The billers, and whether a change is on its way to SecureAuth there.
    pub billers: Vec<(BillerId, bool)>,
    /// Billers that the user left, while SecureAuth has not been told.
    pub left: Vec<BillerId>,
}

/// Which users are wanted.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// With this mail address, in any case of letters.
    pub email: Option<String>,
    /// With one of these; none: any.
    pub statuses: Vec<UserStatus>,
    /// Who belong to one of these billers; none: all.
    pub billers: Option<Vec<BillerId>>,
}

impl UserFilter {
    /// The statuses as the statements look for them.
    fn statuses(&self) -> String {
        let all = [UserStatus::Created, UserStatus::Active, UserStatus::Suspended, UserStatus::Deleted];
        let statuses: &[UserStatus] = if self.statuses.is_empty() { &all[..] } else { &self.statuses };
        statuses.iter().map(|status| format!(",{},", status.as_str())).collect()
    }
}

impl Directory {
    /// The users wanted whose ids come after `after`, by id; at most `limit`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list_users(
        &self,
        filter: &UserFilter,
        after: &str,
        limit: usize,
    ) -> Result<Vec<UserRecord>, DirectoryError> {
        let statuses = filter.statuses();
        let email = filter.email.as_ref().map(|email| email.to_lowercase());
        let mut row = values![after, statuses, i64::try_from(limit).unwrap_or(i64::MAX)];
        let mut found: BTreeMap<UserId, UserRecord> = BTreeMap::new();
        let Some(billers) = &filter.billers else {
            let statement = if email.is_some() { BY_EMAIL } else { ALL };
            row.extend(email.map(Into::into));
            let rows = self.db.all(statement, row).await?;
            return self.with_billers(rows.iter().map(read).collect::<Result<_, _>>()?).await;
        };
        for biller in billers {
            let statement = if email.is_some() { OF_BILLER_BY_EMAIL } else { OF_BILLER };
            let mut row = row.clone();
            row.push(biller.as_str().into());
            row.extend(email.clone().map(Into::into));
            for row in self.db.all(statement, row).await? {
                let user = read(&row)?;
                found.insert(user.id.clone(), user);
            }
        }
        self.with_billers(found.into_values().take(limit).collect()).await
    }

    /// How many users are wanted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_users(&self, filter: &UserFilter) -> Result<usize, DirectoryError> {
        if filter.email.is_some() {
            // One address has few.
            return Ok(self.list_users(filter, "", usize::MAX).await?.len());
        }
        let statuses = filter.statuses();
        let rows = match &filter.billers {
            None => self.db.all(COUNT_ALL, values![statuses]).await?,
            Some(billers) => {
                let ids: Vec<&str> = billers.iter().map(BillerId::as_str).collect();
                self.db.all_in(COUNT_OF_BILLERS, statuses.into(), &ids).await?
            }
        };
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// One user, deleted or not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn user_record(&self, user: &UserId) -> Result<Option<UserRecord>, DirectoryError> {
        let Some(row) = self.db.one(ONE, values![user.as_str()]).await? else { return Ok(None) };
        Ok(self.with_billers(vec![read(&row)?]).await?.pop())
    }

    /// Everybody with a username, at whatever biller: one name may be several people.
    ///
    /// # Errors
    /// The database failed.
    pub async fn users_by_username(&self, username: &Username) -> Result<Vec<UserRecord>, DirectoryError> {
        let rows = self.db.all(BY_USERNAME, values![username.as_str()]).await?;
        self.with_billers(rows.iter().map(read).collect::<Result<_, _>>()?).await
    }

    /// How many users belong to a biller.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_members(&self, biller: &BillerId) -> Result<i64, DirectoryError> {
        let row = self.db.one(COUNT_MEMBERS, values![biller.as_str()]).await?;
        Ok(row.map_or(Ok(0), |row| row.int(0))?)
    }

    async fn with_billers(&self, mut users: Vec<UserRecord>) -> Result<Vec<UserRecord>, DirectoryError> {
        let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
        let rows = self.db.all_in(BILLERS, "".into(), &ids).await?;
        let positions: BTreeMap<String, usize> =
            users.iter().enumerate().map(|(position, user)| (user.id.to_string(), position)).collect();
        for row in rows {
            let Some(position) = positions.get(&row.text(0)?) else { continue };
            let (biller, is_pending) = (BillerId::from_stored(row.text(1)?), row.opt_text(2)?.is_some());
            match row.opt_text(3)? {
                Some(_) => users[*position].billers.push((biller, is_pending)),
                None => users[*position].left.push(biller),
            }
        }
        Ok(users)
    }
}

fn read(row: &Row) -> Result<UserRecord, DirectoryError> {
    let status = row.text(5)?;
    Ok(UserRecord {
        id: UserId::from_stored(row.text(0)?),
        username: row.text(1)?,
        email: row.text(2)?,
        first_name: row.text(3)?,
        last_name: row.text(4)?,
        status: UserStatus::parse(&status).ok_or_else(|| store::corrupt(&format!("user status {status}")))?,
        attributes: serde_json::from_str(&row.text(6)?).map_err(|error| store::corrupt(&error.to_string()))?,
        created_at: row.time(7)?,
        updated_at: row.time(8)?,
        deleted_at: row.opt_int(9)?.map(Timestamp::from_millis),
        billers: Vec::new(),
        left: Vec::new(),
    })
}
