//! Who is signed in where: under one browser session, one row for each biller.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_sessions::Session;

use super::session_store::BROWSER_SESSION_ID;
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::{DbError, Row, Sql, Value};
use crate::directory::{Biller, User};
use crate::handoffs::PortalSession;
use crate::state::AppState;
use crate::{sql, values};
use signpost_core::{BillerId, Timestamp, UserId, ids};

const END: Sql = sql!(
    "UPDATE biller_session SET ended_at = $3 \
     WHERE browser_session_id = $1 AND biller_id = $2 AND ended_at IS NULL \
     RETURNING id, biller_id, user_id, issuer, subject, auth_time, details"
);
const INSERT: Sql = sql!(
    "INSERT INTO biller_session \
     (id, browser_session_id, biller_id, user_id, issuer, subject, sid, auth_time, details, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
const LIVE: Sql = sql!(
    "SELECT b.id, b.biller_id, b.user_id, b.issuer, b.subject, b.auth_time, b.details \
     FROM biller_session b JOIN users u ON u.id = b.user_id \
     WHERE b.browser_session_id = $1 AND b.ended_at IS NULL AND b.created_at > $2 AND u.status = 'active' ORDER BY b.created_at DESC"
);
const LIVE_BY_ID: Sql = sql!(
    "SELECT b.id, b.biller_id, b.user_id, b.issuer, b.subject, b.auth_time, b.details \
     FROM biller_session b JOIN users u ON u.id = b.user_id \
     WHERE b.id = $1 AND b.ended_at IS NULL AND b.created_at > $2 AND u.status = 'active' \
     AND EXISTS (SELECT 1 FROM session s WHERE s.browser_session_id = b.browser_session_id AND s.ended_at IS NULL AND s.last_seen > $3)"
);
const END_USER: Sql = sql!(
    "UPDATE biller_session SET ended_at = $3 \
     WHERE biller_id = $1 AND user_id = $2 AND ended_at IS NULL"
);

const END_BILLER: Sql = sql!("UPDATE biller_session SET ended_at = $2 WHERE biller_id = $1 AND ended_at IS NULL");
const END_SUBJECT: Sql = sql!(
    "UPDATE biller_session SET ended_at = $4 \
     WHERE biller_id = $1 AND issuer = $2 AND subject = $3 AND ended_at IS NULL"
);
const END_SID: Sql = sql!(
    "UPDATE biller_session SET ended_at = $5 \
     WHERE biller_id = $1 AND issuer = $2 AND sid = $3 AND subject = COALESCE($4, subject) AND ended_at IS NULL"
);

/// As many tabs as have an attempt each.
const MAX_CONCURRENT_TABS: usize = 5;

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

/// What a new sign-in says.
#[derive(Clone, Debug)]
pub struct NewBillerSession<'a> {
    /// The biller.
    pub biller_id: &'a BillerId,
    /// The user.
    pub user: &'a User,
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
    state: AppState,
    idle: Duration,
    absolute: Duration,
}

impl BillerSessions {
    /// Of an application.
    pub fn new(state: &AppState) -> Self {
        let sessions = &state.config.sessions;
        Self {
            state: state.clone(),
            idle: Duration::from_secs(sessions.idle_minutes * 60),
            absolute: Duration::from_secs(sessions.absolute_hours * 3600),
        }
    }

    /// Signs a user in: rotates the session id, ends the biller's earlier row and starts a new one.
    ///
    /// # Errors
    /// The database failed; no user is signed in then.
    pub async fn sign_in(&self, session: &Session, new: NewBillerSession<'_>) -> Result<BillerSession, SignInError> {
        let browser_session_id = match browser_session_id(session).await? {
            Some(browser_session_id) => browser_session_id,
            None => self.state.random.token::<18>(),
        };
        // Tabs that finish at once: the later one ends the earlier one's row, and may have to try again to see it.
        let mut inserted = self.insert(&browser_session_id, &new).await;
        for _ in 0..MAX_CONCURRENT_TABS {
            if !matches!(inserted, Err(DbError::Conflict(_))) {
                break;
            }
            inserted = self.insert(&browser_session_id, &new).await;
        }
        let id = inserted?;
        session.cycle_id().await?;
        session.insert(BROWSER_SESSION_ID, &browser_session_id).await?;
        session.save().await?;
        Ok(BillerSession {
            id,
            biller_id: new.biller_id.clone(),
            user_id: new.user.id.clone(),
            issuer: new.issuer.to_owned(),
            subject: new.subject.to_owned(),
            auth_time: new.auth_time,
            details: new.details,
        })
    }

    async fn insert(&self, browser_session_id: &str, new: &NewBillerSession<'_>) -> Result<String, DbError> {
        let now = self.state.clock.now();
        let (biller, user) = (new.biller_id.as_str(), new.user.id.as_str());
        let id = ids::uuid_v7(now, &self.state.random);
        let details = serde_json::to_string(&new.details).unwrap_or_default();
        let mut tx = self.state.db.begin().await?;
        tx.all(END, values![browser_session_id, biller, now]).await?;
        let sid = new.details.sid.clone();
        let row =
            values![&id, browser_session_id, biller, user, new.issuer, new.subject, sid, new.auth_time, details, now];
        tx.run(INSERT, row).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Where this browser is signed in, latest first, whatever has become of the billers since.
    ///
    /// # Errors
    /// The database failed.
    pub async fn live(&self, session: &Session) -> Result<Vec<BillerSession>, SignInError> {
        // Most visitors have no session, and need no query.
        if session.id().is_none() {
            return Ok(Vec::new());
        }
        let Some(browser_session_id) = browser_session_id(session).await? else { return Ok(Vec::new()) };
        let oldest = self.state.clock.now().minus(self.absolute);
        let rows = self.state.db.all(LIVE, values![browser_session_id, oldest]).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// The row with this id, while it lives, its browser's session lives, and its user is active.
    ///
    /// # Errors
    /// The database failed.
    pub async fn live_by_id(&self, id: &str) -> Result<Option<BillerSession>, DbError> {
        let now = self.state.clock.now();
        let values = values![id, now.minus(self.absolute), now.minus(self.idle)];
        self.state.db.one(LIVE_BY_ID, values).await?.as_ref().map(read).transpose()
    }

    /// The live row with this id, for the redemption of a handoff.
    pub async fn portal_session(&self, id: &str) -> Result<Option<PortalSession>, DbError> {
        let session = self.live_by_id(id).await?;
        Ok(session.map(|session| PortalSession {
            username: session.details.username,
            subject: session.subject,
            issuer: session.issuer,
            auth_time: session.auth_time,
            amr: session.details.amr,
        }))
    }

    /// Ends the browser's row for a biller, and the browser's session with the last of them. Answers what was ended.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, session: &Session, biller: &BillerId) -> Result<Option<BillerSession>, SignInError> {
        let Some(browser_session_id) = browser_session_id(session).await? else { return Ok(None) };
        let now = self.state.clock.now();
        let mut tx = self.state.db.begin().await?;
        let ended = tx.all(END, values![&browser_session_id, biller.as_str(), now]).await?;
        let left = tx.all(LIVE, values![&browser_session_id, now.minus(self.absolute)]).await?;
        tx.commit().await?;
        self.state.verified_sessions.clear();
        if left.is_empty() {
            session.flush().await?;
        }
        Ok(ended.first().map(read).transpose()?)
    }

    /// Ends rows of a biller, in whatever browser, on every instance at once; answers how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end(&self, biller: &BillerId, filter: SessionFilter<'_>) -> Result<u64, DbError> {
        let (statement, values) = filter.statement(biller, self.state.clock.now());
        let ended = self.state.db.run(statement, values).await?;
        self.state.verified_sessions.clear();
        Ok(ended)
    }

    /// The same on behalf of an actor, with an audit event.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_audited(
        &self,
        biller: &Biller,
        filter: SessionFilter<'_>,
        actor: &ActorContext,
    ) -> Result<u64, DbError> {
        let (statement, values) = filter.statement(&biller.id, actor.now());
        let mut tx = self.state.db.begin().await?;
        let ended = tx.run(statement, values).await?;
        let mut event = AuditEvent::new(Action::SessionsRevoked).at(&biller.slug).with("ended", ended);
        if let SessionFilter::User(user) = filter {
            event = event.about(user.as_str());
        }
        actor.record(&mut tx, event).await?;
        tx.commit().await?;
        self.state.verified_sessions.clear();
        Ok(ended)
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
            Self::User(user) => (END_USER, values![biller, user.as_str(), now]),
            Self::Subject { issuer, subject } => (END_SUBJECT, values![biller, issuer, subject, now]),
            Self::Sid { issuer, sid, subject } => (END_SID, values![biller, issuer, sid, subject, now]),
        }
    }
}

/// Why signing in or out failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The browser's session could not be read or written.
    #[error(transparent)]
    Session(#[from] tower_sessions::session::Error),
}

impl From<SignInError> for super::HttpError {
    fn from(error: SignInError) -> Self {
        Self::internal(&error)
    }
}

async fn browser_session_id(session: &Session) -> Result<Option<String>, tower_sessions::session::Error> {
    session.get(BROWSER_SESSION_ID).await
}

fn read(row: &Row) -> Result<BillerSession, DbError> {
    Ok(BillerSession {
        id: row.text("id")?,
        biller_id: BillerId::from_stored(row.text("biller_id")?),
        user_id: UserId::from_stored(row.text("user_id")?),
        issuer: row.text("issuer")?,
        subject: row.text("subject")?,
        auth_time: row.time("auth_time")?,
        details: serde_json::from_str(&row.text("details")?).unwrap_or_default(),
    })
}
