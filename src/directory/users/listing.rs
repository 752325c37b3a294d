//! Reads users with their billers, one or a page. A page starts after the last id of the page before, so users added
//! meanwhile neither hide nor repeat a row.

use std::collections::BTreeMap;

use serde_json::Value;

use super::user::UserStatus;
use crate::db::{Row, Sql};
use crate::directory::{Directory, DirectoryError, store};
use crate::{sql, values};
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

/// Erased users have no username; like the other statements, this one does not find them.
const ONE: Sql = sql!(columns!("FROM users u WHERE u.id = $1 AND u.username_key <> ''"));
/// One statement finds neither an unknown user nor one of other billers, so that its time does not tell them apart.
const ONE_IN_SCOPE: Sql = sql!(columns!(
    "FROM users u WHERE u.id = $1 AND u.id IN (SELECT m.user_id FROM membership m WHERE m.user_id = $1 AND m.biller_id IN {keys})"
));
const ALL: Sql = sql!(columns!(
    "FROM users u WHERE u.id > $1 AND u.username_key <> '' AND $2 LIKE '%,' || u.status || ',%' ORDER BY u.id LIMIT $3"
));
/// The condition on empty addresses lets SQLite use its partial index.
const BY_EMAIL: Sql = sql!(columns!(
    "FROM users u WHERE u.id > $1 AND $2 LIKE '%,' || u.status || ',%' AND u.email_key = $4 AND u.email_key <> '' ORDER BY u.id LIMIT $3"
));
const OF_BILLER: Sql = sql!(columns!(
    "FROM membership m JOIN users u ON u.id = m.user_id WHERE m.biller_id = $4 AND m.user_id > $1 \
     AND $2 LIKE '%,' || u.status || ',%' ORDER BY m.user_id LIMIT $3"
));
const OF_BILLER_BY_EMAIL: Sql = sql!(columns!(
    "FROM users u JOIN membership m ON m.user_id = u.id AND m.biller_id = $4 WHERE u.id > $1 \
     AND $2 LIKE '%,' || u.status || ',%' AND u.email_key = $5 AND u.email_key <> '' ORDER BY u.id LIMIT $3"
));
/// A membership has its user's name, by which the index finds it; there may be thousands of billers. Includes billers that the user
/// left while SecureAuth does not know it yet: they have no `member`.
const BILLERS: Sql = sql!(
    "SELECT u.id AS user_id, m.biller_id, c.version, m.user_id AS member FROM users u \
     JOIN membership m ON m.username_key = u.username_key AND m.user_id = u.id \
     LEFT JOIN user_change c ON c.biller_id = m.biller_id AND c.user_id = u.id WHERE u.status <> $1 AND u.id IN {keys} \
     UNION ALL \
     SELECT u.id AS user_id, c.biller_id, c.version, NULL AS member FROM users u JOIN user_change c ON c.user_id = u.id \
     WHERE u.status <> $1 AND u.id IN {keys} AND NOT EXISTS \
     (SELECT 1 FROM membership m WHERE m.biller_id = c.biller_id AND m.user_id = u.id)"
);
const BY_USERNAME: Sql = sql!(columns!(
    "FROM users u WHERE u.id IN (SELECT m.user_id FROM membership m WHERE m.username_key = $1) ORDER BY u.id LIMIT 50"
));
const COUNT_ALL: Sql =
    sql!("SELECT count(*) AS count FROM users u WHERE u.username_key <> '' AND $1 LIKE '%,' || u.status || ',%'");
/// A user of several billers counts once.
const COUNT_OF_BILLERS: Sql = sql!(
    "SELECT count(DISTINCT u.id) AS count FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE $1 LIKE '%,' || u.status || ',%' AND m.biller_id IN {keys}"
);
const COUNT_MEMBERS: Sql = sql!(
    "SELECT count(*) AS count FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted'"
);

#[derive(Clone, Debug)]
pub struct UserRecord {
    pub id: UserId,
    pub username: String,
    /// May be empty, as both names.
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub status: UserStatus,
    /// A JSON object.
    pub attributes: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    /// The user's billers, and whether a change of the user is still queued for SecureAuth there.
    pub billers: Vec<(BillerId, bool)>,
    /// Billers that the user has left while SecureAuth does not know it yet.
    pub left: Vec<BillerId>,
}

/// Which users to list or count.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Compared without case.
    pub email: Option<String>,
    /// Empty for any status.
    pub statuses: Vec<UserStatus>,
    /// Users of at least one of these billers; `None` for all users.
    pub billers: Option<Vec<BillerId>>,
}

impl UserFilter {
    /// As the statements search them: `,active,,suspended,`.
    fn statuses(&self) -> String {
        let all = [UserStatus::Created, UserStatus::Active, UserStatus::Suspended, UserStatus::Deleted];
        let statuses: &[UserStatus] = if self.statuses.is_empty() { &all[..] } else { &self.statuses };
        statuses.iter().map(|status| format!(",{},", status.as_str())).collect()
    }
}

impl Directory {
    /// Users with ids after `after`, in the order of ids, at most `limit`.
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

    pub async fn count_users(&self, filter: &UserFilter) -> Result<usize, DirectoryError> {
        if filter.email.is_some() {
            // Few users share an address.
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
        let count = rows.first().map_or(Ok(0), |row| row.int("count"))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// A user of at least one of the billers in scope. Without a scope it finds deleted users as well.
    pub async fn user_record(
        &self,
        user: &UserId,
        scope: Option<&[BillerId]>,
    ) -> Result<Option<UserRecord>, DirectoryError> {
        let row = match scope {
            None => self.db.one(ONE, values![user.as_str()]).await?,
            Some(scope) => {
                let ids: Vec<&str> = scope.iter().map(BillerId::as_str).collect();
                self.db.all_in(ONE_IN_SCOPE, user.as_str().into(), &ids).await?.into_iter().next()
            }
        };
        let Some(row) = row else { return Ok(None) };
        Ok(self.with_billers(vec![read(&row)?]).await?.pop())
    }

    /// Users of any biller with this username: several people may share it.
    pub async fn users_by_username(&self, username: &Username) -> Result<Vec<UserRecord>, DirectoryError> {
        let rows = self.db.all(BY_USERNAME, values![username.as_str()]).await?;
        self.with_billers(rows.iter().map(read).collect::<Result<_, _>>()?).await
    }

    /// Counts the members of a biller, without deleted users.
    pub async fn count_members(&self, biller: &BillerId) -> Result<i64, DirectoryError> {
        let row = self.db.one(COUNT_MEMBERS, values![biller.as_str()]).await?;
        Ok(row.map_or(Ok(0), |row| row.int("count"))?)
    }

    async fn with_billers(&self, mut users: Vec<UserRecord>) -> Result<Vec<UserRecord>, DirectoryError> {
        let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
        let rows = self.db.all_in(BILLERS, "".into(), &ids).await?;
        let positions: BTreeMap<String, usize> =
            users.iter().enumerate().map(|(position, user)| (user.id.to_string(), position)).collect();
        for row in rows {
            let Some(position) = positions.get(&row.text("user_id")?) else { continue };
            let (biller, is_pending) =
                (BillerId::from_stored(row.text("biller_id")?), row.opt_text("version")?.is_some());
            match row.opt_text("member")? {
                Some(_) => users[*position].billers.push((biller, is_pending)),
                None => users[*position].left.push(biller),
            }
        }
        Ok(users)
    }
}

fn read(row: &Row) -> Result<UserRecord, DirectoryError> {
    Ok(UserRecord {
        id: UserId::from_stored(row.text("id")?),
        username: row.text("username")?,
        email: row.text("email")?,
        first_name: row.text("first_name")?,
        last_name: row.text("last_name")?,
        status: UserStatus::read(row)?,
        attributes: serde_json::from_str(&row.text("attributes")?)
            .map_err(|error| store::corrupt(&error.to_string()))?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        deleted_at: row.opt_time("deleted_at")?,
        billers: Vec::new(),
        left: Vec::new(),
    })
}
