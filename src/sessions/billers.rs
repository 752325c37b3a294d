//! Who is signed in where: under one browser session, one row for each biller.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::store::{self, Lifetime, RETENTION, SessionKind};
use super::verified::VerifiedSessions;
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::{Db, DbError, Row, Sql, Tx, Value};
use crate::{sql, values};
use signpost_core::{BillerId, Clock, Random, Slug, Timestamp, UserId, ids};

const END: Sql = sql!(
    "UPDATE biller_session SET ended_at = $3 \
     WHERE browser_session_id = $1 AND biller_id = $2 AND ended_at IS NULL \
     RETURNING id, biller_id, user_id, issuer, subject, auth_time, details"
);
const END_IN_BROWSER: Sql = sql!(
    "UPDATE biller_session SET ended_at = $3 \
     WHERE browser_session_id = (SELECT owner FROM session WHERE id_hash = $1 AND kind = $4 AND ended_at IS NULL) \
     AND biller_id = $2 AND ended_at IS NULL \
     RETURNING id, biller_id, user_id, issuer, subject, auth_time, details"
);
const INSERT: Sql = sql!(
    "INSERT INTO biller_session \
     (id, browser_session_id, biller_id, user_id, issuer, subject, sid, auth_time, details, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
const LIVE: Sql = sql!(
    "SELECT s.last_seen, b.id, b.biller_id, b.user_id, b.issuer, b.subject, b.auth_time, b.details \
     FROM session s JOIN biller_session b ON b.browser_session_id = s.owner JOIN users u ON u.id = b.user_id \
     WHERE s.id_hash = $1 AND s.kind = $2 AND s.ended_at IS NULL AND s.last_seen > $3 AND s.created_at > $4 \
     AND b.ended_at IS NULL AND b.created_at > $4 AND u.status = 'active' ORDER BY b.created_at DESC"
);
const LIVE_BY_ID: Sql = sql!(
    "SELECT b.id, b.biller_id, b.user_id, b.issuer, b.subject, b.auth_time, b.details \
     FROM biller_session b JOIN users u ON u.id = b.user_id \
     WHERE b.id = $1 AND b.ended_at IS NULL AND b.created_at > $2 AND u.status = 'active' \
     AND EXISTS (SELECT 1 FROM session s WHERE s.kind = $4 AND s.owner = b.browser_session_id \
     AND s.ended_at IS NULL AND s.last_seen > $3)"
);
const END_USER: Sql = sql!("UPDATE biller_session SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL");
const END_MEMBER: Sql =
    sql!("UPDATE biller_session SET ended_at = $3 WHERE biller_id = $1 AND user_id = $2 AND ended_at IS NULL");
const END_BILLER: Sql = sql!("UPDATE biller_session SET ended_at = $2 WHERE biller_id = $1 AND ended_at IS NULL");
const COUNT_OPEN: Sql = sql!("SELECT count(*) AS count FROM biller_session WHERE biller_id = $1 AND ended_at IS NULL");
const END_ALL: Sql = sql!("UPDATE biller_session SET ended_at = $1 WHERE ended_at IS NULL");
const END_SUBJECT: Sql = sql!(
    "UPDATE biller_session SET ended_at = $4 \
     WHERE biller_id = $1 AND issuer = $2 AND subject = $3 AND ended_at IS NULL"
);
const END_SID: Sql = sql!(
    "UPDATE biller_session SET ended_at = $5 \
     WHERE biller_id = $1 AND issuer = $2 AND sid = $3 AND subject = COALESCE($4, subject) AND ended_at IS NULL"
);

const OF_USER: Sql = sql!(
    "SELECT id, biller_id, user_id, issuer, subject, auth_time, details, created_at, ended_at FROM biller_session \
     WHERE user_id = $1 ORDER BY created_at, id"
);
/// Another user may be signed in under the same browser session, at another biller: it stays then.
macro_rules! browsers_of_user {
    ($start:literal) => {
        concat!(
            $start,
            " FROM session WHERE kind = $2 AND owner IN (SELECT b.browser_session_id FROM biller_session b WHERE b.user_id = $1) ",
            "AND NOT EXISTS (SELECT 1 FROM biller_session o WHERE o.browser_session_id = session.owner AND o.ended_at IS NULL ",
            "AND o.user_id <> $1)"
        )
    };
}
const BROWSERS_OF_USER: Sql = sql!(browsers_of_user!("SELECT created_at, last_seen, ended_at"));
const DELETE_BROWSERS_OF_USER: Sql = sql!(browsers_of_user!("DELETE"));
const DELETE_OF_USER: Sql = sql!("DELETE FROM biller_session WHERE user_id = $1");
const SWEEP: Sql = sql!(
    "DELETE FROM biller_session WHERE id IN \
     (SELECT b.id FROM biller_session b WHERE b.created_at < $1 AND NOT EXISTS \
     (SELECT 1 FROM session s WHERE s.kind = $2 AND s.owner = b.browser_session_id \
     AND s.ended_at IS NULL AND s.last_seen >= $1) LIMIT 100)"
);

/// A user signed in at one biller.
#[derive(Clone, Debug)]
pub struct BillerSession {
    /// Id of the row.
    pub id: String,
    /// The biller.
    pub biller_id: BillerId,
    /// The user.
    pub user_id: UserId,
    /// The issuer that vouched.
    pub issuer: String,
    /// Its subject.
    pub subject: String,
    /// When the person authenticated.
    pub auth_time: Timestamp,
    /// The rest.
    pub details: SessionDetails,
}

/// Details of a sign-in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SessionDetails {
    /// Username as the directory has it.
    pub username: String,
    /// How the person authenticated.
    pub amr: Vec<String>,
    /// The provider's session.
    pub sid: Option<String>,
    /// The ID token, sealed: a hint for logout.
    pub id_token: String,
}

/// A session of a user, which may have ended.
#[derive(Clone, Debug)]
pub struct PastSession {
    pub session: BillerSession,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// A browser session that holds sessions of a user, which may have ended.
#[derive(Clone, Copy, Debug)]
pub struct PastBrowserSession {
    pub created_at: Timestamp,
    pub last_seen: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// What a new sign-in says.
#[derive(Clone, Debug)]
pub struct NewBillerSession<'a> {
    /// The biller.
    pub biller_id: &'a BillerId,
    /// The user.
    pub user_id: &'a UserId,
    /// The issuer that vouched.
    pub issuer: &'a str,
    /// Its subject.
    pub subject: &'a str,
    /// When the person authenticated.
    pub auth_time: Timestamp,
    /// The rest.
    pub details: SessionDetails,
}

/// The rows under browser sessions.
#[derive(Clone, Debug)]
pub struct BillerSessions {
    db: Db,
    clock: Clock,
    random: Random,
    lifetime: Lifetime,
    /// Cleared whenever a session ends.
    pub verified: Arc<VerifiedSessions>,
}

impl BillerSessions {
    pub fn new(db: Db, clock: Clock, random: Random, lifetime: impl Into<Lifetime>) -> Self {
        Self { db, clock, random, lifetime: lifetime.into(), verified: Arc::default() }
    }

    /// The same sessions under another lifetime.
    #[must_use]
    pub fn with_lifetime(&self, lifetime: impl Into<Lifetime>) -> Self {
        Self { lifetime: lifetime.into(), ..self.clone() }
    }

    /// Signs a user in: rotates the id of the browser's session, ends the biller's earlier session under it and starts a new one.
    /// A previous session that has ended or expired is not continued. Returns the new session id and the row.
    pub async fn start(
        &self,
        tx: &mut Tx,
        previous: Option<&str>,
        new: NewBillerSession<'_>,
    ) -> Result<(String, BillerSession), DbError> {
        let now = self.clock.now();
        let (biller, user) = (new.biller_id.as_str(), new.user_id.as_str());
        let continued = match previous {
            Some(previous) => store::end_customer(tx, previous, self.lifetime, now).await?,
            None => None,
        };
        if let Some(owner) = &continued {
            tx.all(END, values![owner, biller, now]).await?;
        }
        let owner = continued.unwrap_or_else(|| self.random.token::<18>());
        let session_id = self.random.token::<32>();
        store::insert_customer(tx, &session_id, &owner, now).await?;
        let id = ids::uuid_v7(now, &self.random);
        let details = serde_json::to_string(&new.details).unwrap_or_default();
        let sid = new.details.sid.clone();
        let row = values![&id, &owner, biller, user, new.issuer, new.subject, sid, new.auth_time, details, now];
        tx.run(INSERT, row).await?;
        let started = BillerSession {
            id,
            biller_id: new.biller_id.clone(),
            user_id: new.user_id.clone(),
            issuer: new.issuer.to_owned(),
            subject: new.subject.to_owned(),
            auth_time: new.auth_time,
            details: new.details,
        };
        Ok((session_id, started))
    }

    /// The live rows under a browser's session, latest first. Counts as its use.
    pub async fn live(&self, session_id: &str) -> Result<Vec<BillerSession>, DbError> {
        let rows = self.db.all(LIVE, self.live_values(session_id)).await?;
        if let Some(row) = rows.first() {
            store::touch(&self.db, session_id, row.time("last_seen")?, self.clock.now()).await;
        }
        rows.iter().map(read).collect()
    }

    fn live_values(&self, session_id: &str) -> Vec<Value> {
        let now = self.clock.now();
        let Lifetime { idle, absolute } = self.lifetime;
        values![store::hash(session_id), SessionKind::Customer.as_str(), now.minus(idle), now.minus(absolute)]
    }

    /// The row with this id, while it lives, its browser's session lives, and its user is active.
    ///
    /// # Errors
    /// The database failed.
    pub async fn live_by_id(&self, id: &str) -> Result<Option<BillerSession>, DbError> {
        let now = self.clock.now();
        let Lifetime { idle, absolute } = self.lifetime;
        let values = values![id, now.minus(absolute), now.minus(idle), SessionKind::Customer.as_str()];
        self.db.one(LIVE_BY_ID, values).await?.as_ref().map(read).transpose()
    }

    /// Ends the browser's row for a biller, and its session with the last row. Returns what was ended, and whether the session
    /// was.
    pub async fn end_in_browser(
        &self,
        session_id: &str,
        biller: &BillerId,
    ) -> Result<(Option<BillerSession>, bool), DbError> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let kind = SessionKind::Customer.as_str();
        let ended = tx.all(END_IN_BROWSER, values![store::hash(session_id), biller.as_str(), now, kind]).await?;
        let is_last = tx.all(LIVE, self.live_values(session_id)).await?.is_empty();
        if is_last {
            store::end_customer(&mut tx, session_id, self.lifetime, now).await?;
        }
        tx.commit().await?;
        self.verified.clear();
        Ok((ended.first().map(read).transpose()?, is_last))
    }

    /// Ends rows of a biller, in whatever browser, on every instance at once; answers how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end(&self, biller: &BillerId, filter: SessionFilter<'_>) -> Result<u64, DbError> {
        let (statement, values) = filter.statement(biller, self.clock.now());
        let ended = self.db.run(statement, values).await?;
        self.verified.clear();
        Ok(ended)
    }

    /// The same on behalf of an actor, with an audit event.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_audited(
        &self,
        (biller, slug): (&BillerId, &Slug),
        filter: SessionFilter<'_>,
        actor: &ActorContext,
    ) -> Result<u64, DbError> {
        let (statement, values) = filter.statement(biller, actor.now());
        let mut tx = self.db.begin().await?;
        let ended = tx.run(statement, values).await?;
        let mut event = AuditEvent::new(Action::SessionsRevoked).at(slug).with("ended", ended);
        if let SessionFilter::User(user) = filter {
            event = event.about(user.as_str());
        }
        actor.record(&mut tx, event).await?;
        tx.commit().await?;
        self.verified.clear();
        Ok(ended)
    }

    /// How many sessions of a biller [`SessionFilter::All`] would end.
    pub async fn count_open(&self, biller: &BillerId) -> Result<i64, DbError> {
        let row = self.db.one(COUNT_OPEN, values![biller.as_str()]).await?;
        row.map_or(Ok(0), |row| row.int("count"))
    }

    /// All stored sessions of a user.
    pub async fn of_user(&self, user: &UserId) -> Result<(Vec<PastSession>, Vec<PastBrowserSession>), DbError> {
        let sessions = self.db.all(OF_USER, values![user.as_str()]).await?;
        let sessions = sessions.iter().map(|row| {
            let (created_at, ended_at) = (row.time("created_at")?, row.opt_time("ended_at")?);
            Ok(PastSession { session: read(row)?, created_at, ended_at })
        });
        let browsers = self.db.all(BROWSERS_OF_USER, values![user.as_str(), SessionKind::Customer.as_str()]).await?;
        let browsers = browsers.iter().map(|row| {
            Ok(PastBrowserSession {
                created_at: row.time("created_at")?,
                last_seen: row.time("last_seen")?,
                ended_at: row.opt_time("ended_at")?,
            })
        });
        Ok((sessions.collect::<Result<_, DbError>>()?, browsers.collect::<Result<_, DbError>>()?))
    }

    /// Deletes rows older than the retention whose browser session is idle or has ended.
    pub async fn sweep(&self) -> Result<(), DbError> {
        let before = self.clock.now().minus(RETENTION.max(self.lifetime.idle));
        self.db.sweep(SWEEP, values![before, SessionKind::Customer.as_str()]).await.map(drop)
    }
}

/// Which sessions of a biller end.
#[derive(Clone, Copy, Debug)]
pub enum SessionFilter<'a> {
    /// All of them.
    All,
    /// A user's.
    User(&'a UserId),
    /// Those of a subject of an issuer.
    Subject {
        /// The issuer.
        issuer: &'a str,
        /// Its subject.
        subject: &'a str,
    },
    /// Those of one session at an issuer.
    Sid {
        /// The issuer.
        issuer: &'a str,
        /// Its session.
        sid: &'a str,
        /// Only if they are this subject's.
        subject: Option<&'a str>,
    },
}

impl SessionFilter<'_> {
    fn statement(self, biller: &BillerId, now: Timestamp) -> (Sql, Vec<Value>) {
        let biller = biller.as_str();
        match self {
            Self::All => (END_BILLER, values![biller, now]),
            Self::User(user) => (END_MEMBER, values![biller, user.as_str(), now]),
            Self::Subject { issuer, subject } => (END_SUBJECT, values![biller, issuer, subject, now]),
            Self::Sid { issuer, sid, subject } => (END_SID, values![biller, issuer, sid, subject, now]),
        }
    }
}

/// Ends every session of customers and staff, of browsers and at billers. Returns how many browsers and members of staff were
/// signed in.
pub async fn end_all(tx: &mut Tx, now: Timestamp) -> Result<u64, DbError> {
    tx.run(END_ALL, values![now]).await?;
    store::end_every_session(tx, now).await
}

/// Ends all sessions of a user, in the transaction that makes the user inactive.
pub async fn end_for_user(tx: &mut Tx, user: &str, now: Timestamp) -> Result<(), DbError> {
    tx.run(END_USER, values![user, now]).await.map(drop)
}

/// Ends a user's sessions at one biller, in the transaction that removes the membership.
pub async fn end_for_member(tx: &mut Tx, biller: &str, user: &str, now: Timestamp) -> Result<(), DbError> {
    tx.run(END_MEMBER, values![biller, user, now]).await.map(drop)
}

/// Deletes all sessions of a user, so that nothing about them is left. Clear [`BillerSessions::verified`] after the commit.
pub async fn delete_for_user(tx: &mut Tx, user: &UserId) -> Result<(), DbError> {
    tx.run(DELETE_BROWSERS_OF_USER, values![user.as_str(), SessionKind::Customer.as_str()]).await?;
    tx.run(DELETE_OF_USER, values![user.as_str()]).await.map(drop)
}

fn read(row: &Row) -> Result<BillerSession, DbError> {
    Ok(BillerSession {
        id: row.text("id")?,
        biller_id: BillerId::from_stored(row.text("biller_id")?),
        user_id: UserId::from_stored(row.text("user_id")?),
        issuer: row.text("issuer")?,
        subject: row.text("subject")?,
        auth_time: row.time("auth_time")?,
        details: row.json("details")?,
    })
}
