//! Queries of the audit trail, newest events first.

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::csv_export;
use super::trail::Action;
use crate::db::{Db, DbError, Row, Sql, Value};
use crate::{sql, values};
use signpost_core::{Slug, Timestamp};

macro_rules! query {
    ($what:literal, $main:literal, $end:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM audit_event WHERE ",
            $main,
            " AND id < $1 AND ($2 = '' OR actor_id = $2 OR actor_name = $2 OR actor_kind = $2) AND ($3 = '' OR action = $3) ",
            "AND ($4 = '' OR biller = $4) AND ($5 = '' OR $5 LIKE '%,' || biller || ',%') AND at >= $6 AND at < $7",
            $end
        )
    };
}

macro_rules! select_events {
    ($main:literal) => {
        query!(
            "id, at, actor_kind, actor_id, actor_name, principal, role, action, biller, subject, reason, details",
            $main,
            " ORDER BY id DESC LIMIT $8"
        )
    };
}

macro_rules! count_events {
    ($main:literal) => {
        query!("count(*) AS count", $main, "")
    };
}

const ALL: Sql = sql!(select_events!("1 = 1"));
/// Uses an index. Without it, a rare biller or action needs a scan of the whole table.
const OF_BILLER: Sql = sql!(select_events!("biller = $4"));
const OF_ACTION: Sql = sql!(select_events!("action = $3"));
const COUNT_ALL: Sql = sql!(count_events!("1 = 1"));
const COUNT_OF_BILLER: Sql = sql!(count_events!("biller = $4"));
const COUNT_OF_ACTION: Sql = sql!(count_events!("action = $3"));
const SWEEP: Sql = sql!("DELETE FROM audit_event WHERE id IN (SELECT id FROM audit_event WHERE at < $1 LIMIT 100)");

/// Sorts after every id.
const MAX_ID: &str = "z";

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct StoredEvent {
    /// Permanent id. Later events have greater ids.
    pub id: String,
    /// RFC 3339 in UTC.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub actor: StoredActor,
    /// Permanent name of the action.
    pub action: String,
    /// The biller's slug.
    pub biller: Option<String>,
    /// Id of the user, key, code, change or job concerned.
    pub subject: Option<String>,
    /// The reason that the actor gave.
    pub reason: Option<String>,
    #[schema(value_type = Object)]
    pub details: Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct StoredActor {
    /// `staff`, `key`, `cli` or `system`.
    pub kind: String,
    /// Id among the actors of this kind.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Who is behind the actor, as approvals compare it.
    pub principal: String,
    /// Role of a member of staff at that time.
    pub role: Option<String>,
}

fn text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// `None` matches every event.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Id, name or kind of the actor.
    pub actor: Option<String>,
    pub action: Option<Action>,
    pub biller: Option<Slug>,
    /// Only events of these billers. `None`: all events, including those without a biller.
    pub biller_scope: Option<Vec<Slug>>,
    /// Inclusive.
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
}

/// At most `limit` events that are older than the event with the id `before`.
pub async fn list_events(
    db: &Db,
    filter: &EventFilter,
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    let statement = match (&filter.biller, filter.action) {
        (Some(_), _) => OF_BILLER,
        (None, Some(_)) => OF_ACTION,
        (None, None) => ALL,
    };
    let mut row = filter.values(before.unwrap_or(MAX_ID));
    row.extend(values![i64::try_from(limit).unwrap_or(i64::MAX)]);
    db.all(statement, row).await?.iter().map(parse_row).collect()
}

pub async fn count_events(db: &Db, filter: &EventFilter) -> Result<usize, DbError> {
    let statement = match (&filter.biller, filter.action) {
        (Some(_), _) => COUNT_OF_BILLER,
        (None, Some(_)) => COUNT_OF_ACTION,
        (None, None) => COUNT_ALL,
    };
    let count = db.one(statement, filter.values(MAX_ID)).await?.map_or(Ok(0), |row| row.int("count"))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

impl EventFilter {
    fn values(&self, before: &str) -> Vec<Value> {
        // An empty list matches no event. No list matches every event.
        let scope =
            self.biller_scope.as_ref().map(|scope| scope.iter().map(|slug| format!(",{slug},")).collect::<String>());
        let scope = scope.map_or_else(String::new, |scope| if scope.is_empty() { ",".to_owned() } else { scope });
        values![
            before,
            self.actor.as_deref().unwrap_or_default(),
            self.action.map(Action::as_str).unwrap_or_default(),
            self.biller.as_ref().map(Slug::as_str).unwrap_or_default(),
            scope,
            self.since.map_or(i64::MIN, Timestamp::millis),
            self.until.map_or(i64::MAX, Timestamp::millis)
        ]
    }
}

pub async fn sweep_events(db: &Db, before: Timestamp) -> Result<u64, DbError> {
    db.sweep(SWEEP, values![before]).await
}

pub(super) fn parse_row(row: &Row) -> Result<StoredEvent, DbError> {
    Ok(StoredEvent {
        id: row.text("id")?,
        at: row.time("at")?,
        actor: StoredActor {
            kind: row.text("actor_kind")?,
            id: row.text("actor_id")?,
            name: row.text("actor_name")?,
            principal: row.text("principal")?,
            role: row.opt_text("role")?,
        },
        action: row.text("action")?,
        biller: row.opt_text("biller")?,
        subject: row.opt_text("subject")?,
        reason: row.opt_text("reason")?,
        details: serde_json::from_str(&row.text("details")?).unwrap_or_default(),
    })
}

impl StoredEvent {
    pub fn csv_header() -> String {
        let actor = ["actor_kind", "actor_id", "actor_name", "role"];
        csv_export::row(["at"].into_iter().chain(actor).chain([
            "action",
            "biller",
            "subject",
            "reason",
            "details",
            "id",
            "principal",
        ]))
    }

    pub fn to_csv(&self) -> String {
        let (at, details) = (self.at.to_string(), self.details.to_string());
        let actor = &self.actor;
        let some = |text: &Option<String>| text.clone().unwrap_or_default();
        let (role, biller, subject) = (some(&actor.role), some(&self.biller), some(&self.subject));
        let reason = some(&self.reason);
        csv_export::row([
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
            &actor.principal,
        ])
    }
}
