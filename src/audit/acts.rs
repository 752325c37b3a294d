//! Reading the audit trail, the newest first.

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::cells;
use super::trail::Action;
use crate::db::{Db, DbError, Row, Value};
use crate::values;
use signpost_core::{Slug, Timestamp};

macro_rules! wanted {
    ($what:literal, $main:literal, $end:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM act WHERE ",
            $main,
            " AND id < $1 AND ($2 = '' OR actor_id = $2 OR actor_name = $2 OR actor_kind = $2) AND ($3 = '' OR action = $3) ",
            "AND ($4 = '' OR biller = $4) AND ($5 = '' OR $5 LIKE '%,' || biller || ',%') AND at >= $6 AND at < $7",
            $end
        )
    };
}

macro_rules! acts {
    ($main:literal) => {
        wanted!(
            "id, at, actor_kind, actor_id, actor_name, role, action, biller, subject, reason, details",
            $main,
            " ORDER BY id DESC LIMIT $8"
        )
    };
}

macro_rules! count {
    ($main:literal) => {
        wanted!("count(*)", $main, "")
    };
}

const ALL: &str = acts!("1 = 1");
/// By an index: without it a rare one would be looked for among all.
const OF_BILLER: &str = acts!("biller = $4");
const OF_ACTION: &str = acts!("action = $3");
const COUNT_ALL: &str = count!("1 = 1");
const COUNT_OF_BILLER: &str = count!("biller = $4");
const COUNT_OF_ACTION: &str = count!("action = $3");
const SWEEP: &str = "DELETE FROM act WHERE at < $1";

/// Comes after every id.
const LAST: &str = "z";

/// An act as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Act)]
pub struct StoredAct {
    /// Permanent id; later ones are greater.
    pub id: String,
    /// When, RFC 3339 in UTC.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who.
    pub actor: StoredActor,
    /// What, by its permanent name.
    pub action: String,
    /// At which biller, by slug.
    pub biller: Option<String>,
    /// About which user, key, code, change or job, by id.
    pub subject: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// More about it.
    #[schema(value_type = Object)]
    pub details: Json,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct StoredActor {
    /// `staff`, `key`, `cli` or `system`.
    pub kind: String,
    /// What tells one from another of the same kind.
    pub id: String,
    /// For people.
    pub name: String,
    /// What a member of staff might do.
    pub role: Option<String>,
}

fn text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Which acts are wanted; what is none is any.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By this actor: id, name, or kind.
    pub actor: Option<String>,
    /// This action.
    pub action: Option<Action>,
    /// At this biller.
    pub biller: Option<Slug>,
    /// At one of these billers; none: at all, and at none.
    pub reach: Option<Vec<Slug>>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// The acts wanted that come before the one with the id `before` (none: from the newest on); at most `limit`.
///
/// # Errors
/// The database failed.
pub async fn acts(db: &Db, wanted: &Wanted, before: Option<&str>, limit: usize) -> Result<Vec<StoredAct>, DbError> {
    let statement = match (&wanted.biller, wanted.action) {
        (Some(_), _) => OF_BILLER,
        (None, Some(_)) => OF_ACTION,
        (None, None) => ALL,
    };
    let mut row = wanted.values(before.unwrap_or(LAST));
    row.extend(values![i64::try_from(limit).unwrap_or(i64::MAX)]);
    db.all(statement, row).await?.iter().map(read).collect()
}

/// How many acts are wanted.
///
/// # Errors
/// The database failed.
pub async fn count_acts(db: &Db, wanted: &Wanted) -> Result<usize, DbError> {
    let statement = match (&wanted.biller, wanted.action) {
        (Some(_), _) => COUNT_OF_BILLER,
        (None, Some(_)) => COUNT_OF_ACTION,
        (None, None) => COUNT_ALL,
    };
    let count = db.one(statement, wanted.values(LAST)).await?.map_or(Ok(0), |row| row.int(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

impl Wanted {
    /// What the statements are asked with.
    fn values(&self, before: &str) -> Vec<Value> {
        // An empty list reaches nothing, and no list everything.
        let reach = self.reach.as_ref().map(|reach| reach.iter().map(|slug| format!(",{slug},")).collect::<String>());
        let reach = reach.map_or_else(String::new, |reach| if reach.is_empty() { ",".to_owned() } else { reach });
        values![
            before,
            self.actor.as_deref().unwrap_or_default(),
            self.action.map(Action::as_str).unwrap_or_default(),
            self.biller.as_ref().map(Slug::as_str).unwrap_or_default(),
            reach,
            self.since.map_or(i64::MIN, Timestamp::millis),
            self.until.map_or(i64::MAX, Timestamp::millis)
        ]
    }
}

/// Deletes acts before a moment.
///
/// # Errors
/// The database failed.
pub async fn sweep_acts(db: &Db, before: Timestamp) -> Result<u64, DbError> {
    db.run(SWEEP, values![before]).await
}

fn read(row: &Row) -> Result<StoredAct, DbError> {
    Ok(StoredAct {
        id: row.text(0)?,
        at: row.time(1)?,
        actor: StoredActor { kind: row.text(2)?, id: row.text(3)?, name: row.text(4)?, role: row.opt_text(5)? },
        action: row.text(6)?,
        biller: row.opt_text(7)?,
        subject: row.opt_text(8)?,
        reason: row.opt_text(9)?,
        details: serde_json::from_str(&row.text(10)?).unwrap_or_default(),
    })
}

impl StoredAct {
    /// The first line of a table of acts.
    pub fn heads() -> String {
        let actor = ["actor_kind", "actor_id", "actor_name", "role"];
        cells::line(["at"].into_iter().chain(actor).chain(["action", "biller", "subject", "reason", "details", "id"]))
    }

    /// The act as a line of that table.
    pub fn cells(&self) -> String {
        let (at, details) = (self.at.to_string(), self.details.to_string());
        let actor = &self.actor;
        let some = |text: &Option<String>| text.clone().unwrap_or_default();
        let (role, biller, subject) = (some(&actor.role), some(&self.biller), some(&self.subject));
        let reason = some(&self.reason);
        cells::line([
            at.as_str(),
            &actor.kind,
            &actor.id,
            &actor.name,
            &role,
            &self.action,
            &biller,
            &subject,
            &reason,
            &details,
            &self.id,
        ])
    }
}
