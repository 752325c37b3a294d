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
const NAMED: &str = columns!(
    "FROM users u WHERE u.id IN (SELECT m.user_id FROM membership m WHERE m.username_key = $1) ORDER BY u.id LIMIT 50"
);
const HOW_MANY: &str = "SELECT count(*) FROM users u WHERE $1 LIKE '%,' || u.status || ',%'";
/// Once each, at however many of them.
const HOW_MANY_OF: &str = "SELECT count(DISTINCT u.id) FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE $1 LIKE '%,' || u.status || ',%' AND m.biller_id IN";
const COUNT: &str = "SELECT count(*) FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted'";

/// A user's whole record.
#[derive(Clone, Debug)]
pub struct Person {
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
pub struct Wanted {
    /// With this mail address, in any case of letters.
    pub email: Option<String>,
    /// With one of these; none: any.
    pub statuses: Vec<UserStatus>,
    /// Who belong to one of these billers; none: all.
    pub billers: Option<Vec<BillerId>>,
}

impl Wanted {
    /// The statuses as the statements look for them.
    fn statuses(&self) -> String {
        let all = [UserStatus::Created, UserStatus::Active, UserStatus::Suspended, UserStatus::Deleted];
        let wanted: &[UserStatus] = if self.statuses.is_empty() { &all[..] } else { &self.statuses };
        wanted.iter().map(|status| format!(",{},", status.as_str())).collect()
    }
}

impl Directory {
    /// The users wanted whose ids come after `after`, by id; at most `limit`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn people(&self, wanted: &Wanted, after: &str, limit: usize) -> Result<Vec<Person>, DirectoryError> {
        let statuses = wanted.statuses();
        let email = wanted.email.as_ref().map(|email| email.to_lowercase());
        let mut row = values![after, statuses, i64::try_from(limit).unwrap_or(i64::MAX)];
        let mut found: BTreeMap<UserId, Person> = BTreeMap::new();
        let Some(billers) = &wanted.billers else {
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
                let person = read(&row)?;
                found.insert(person.id.clone(), person);
            }
        }
        self.with_billers(found.into_values().take(limit).collect()).await
    }

    /// How many users are wanted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_people(&self, wanted: &Wanted) -> Result<usize, DirectoryError> {
        if wanted.email.is_some() {
            // One address has few.
            return Ok(self.people(wanted, "", usize::MAX).await?.len());
        }
        let statuses = wanted.statuses();
        let rows = match &wanted.billers {
            None => self.db.all(HOW_MANY, values![statuses]).await?,
            Some(billers) => {
                let ids: Vec<&str> = billers.iter().map(BillerId::as_str).collect();
                self.db.all_in(HOW_MANY_OF, statuses.into(), &ids).await?
            }
        };
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// One user, deleted or not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn person(&self, user: &UserId) -> Result<Option<Person>, DirectoryError> {
        let Some(row) = self.db.one(ONE, values![user.as_str()]).await? else { return Ok(None) };
        Ok(self.with_billers(vec![read(&row)?]).await?.pop())
    }

    /// Everybody with a username, at whatever biller: one name may be several people.
    ///
    /// # Errors
    /// The database failed.
    pub async fn people_named(&self, username: &Username) -> Result<Vec<Person>, DirectoryError> {
        let rows = self.db.all(NAMED, values![username.as_str()]).await?;
        self.with_billers(rows.iter().map(read).collect::<Result<_, _>>()?).await
    }

    /// How many users belong to a biller.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_members(&self, biller: &BillerId) -> Result<i64, DirectoryError> {
        let row = self.db.one(COUNT, values![biller.as_str()]).await?;
        Ok(row.map_or(Ok(0), |row| row.int(0))?)
    }

    async fn with_billers(&self, mut people: Vec<Person>) -> Result<Vec<Person>, DirectoryError> {
        let ids: Vec<&str> = people.iter().map(|person| person.id.as_str()).collect();
        let rows = self.db.all_in(BILLERS, "".into(), &ids).await?;
        let places: BTreeMap<String, usize> =
            people.iter().enumerate().map(|(place, person)| (person.id.to_string(), place)).collect();
        for row in rows {
            let Some(place) = places.get(&row.text(0)?) else { continue };
            let (biller, is_pending) = (BillerId::from_stored(row.text(1)?), row.opt_text(2)?.is_some());
            match row.opt_text(3)? {
                Some(_) => people[*place].billers.push((biller, is_pending)),
                None => people[*place].left.push(biller),
            }
        }
        Ok(people)
    }
}

fn read(row: &Row) -> Result<Person, DirectoryError> {
    let status = row.text(5)?;
    Ok(Person {
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
