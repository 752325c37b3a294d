//! Who is signed in where: under one browser session, one row for each biller.

use serde::{Deserialize, Serialize};
use tower_sessions::Session;

use super::session_store::VISIT;
use crate::db::{Db, DbError, Row};
use crate::directory::{Billers, User};
use crate::kernel::{BillerId, Clock, Random, Timestamp, UserId, ids};
use crate::values;

const END: &str = "UPDATE biller_session SET ended_at = $3 \
     WHERE visit = $1 AND biller_id = $2 AND ended_at IS NULL \
     RETURNING id, biller_id, user_id, issuer, subject, auth_time, details";
const INSERT: &str = "INSERT INTO biller_session \
     (id, visit, biller_id, user_id, issuer, subject, sid, auth_time, details, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const LIVE: &str = "SELECT id, biller_id, user_id, issuer, subject, auth_time, details FROM biller_session \
     WHERE visit = $1 AND ended_at IS NULL ORDER BY created_at DESC";
const LIVE_BY_ID: &str = "SELECT b.id, b.biller_id, b.user_id, b.issuer, b.subject, b.auth_time, b.details \
     FROM biller_session b JOIN users u ON u.id = b.user_id \
     WHERE b.id = $1 AND b.ended_at IS NULL AND u.status = 'active' \
     AND EXISTS (SELECT 1 FROM session s WHERE s.visit = b.visit AND s.ended_at IS NULL)";
const END_USER: &str = "UPDATE biller_session SET ended_at = $3 \
     WHERE biller_id = $1 AND user_id = $2 AND ended_at IS NULL";

/// Somebody signed in at one biller.
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
    pub details: Details,
}

/// Details of a sign-in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Details {
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
pub struct NewSession<'a> {
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
    pub details: Details,
}

/// The rows under browser sessions.
#[derive(Clone, Debug)]
pub struct Visits {
    db: Db,
    clock: Clock,
    random: Random,
}

impl Visits {
    /// On a database.
    pub fn new(db: Db, clock: Clock, random: Random) -> Self {
        Self { db, clock, random }
    }

    /// Signs somebody in: the browser's session gets a new id, the biller's earlier row under it ends, a new one begins.
    ///
    /// # Errors
    /// The database failed; nobody is signed in then.
    pub async fn sign_in(&self, session: &Session, new: NewSession<'_>) -> Result<BillerSession, SignInError> {
        let visit = match visit(session).await? {
            Some(visit) => visit,
            None => self.random.token::<18>(),
        };
        let (biller, user, now) = (new.biller_id.as_str(), new.user.id.as_str(), self.clock.now());
        let id = ids::uuid_v7(now, &self.random);
        let details = serde_json::to_string(&new.details).unwrap_or_default();
        let mut tx = self.db.begin().await?;
        tx.all(END, values![&visit, biller, now]).await?;
        let sid = new.details.sid.clone();
        let row = values![&id, &visit, biller, user, new.issuer, new.subject, sid, new.auth_time, details, now];
        tx.run(INSERT, row).await?;
        tx.commit().await?;
        session.cycle_id().await?;
        session.insert(VISIT, &visit).await?;
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

    /// Where this browser is signed in, latest first; only billers that sign people in themselves at this moment.
    ///
    /// # Errors
    /// The database failed.
    pub async fn live(&self, session: &Session, billers: &Billers) -> Result<Vec<BillerSession>, SignInError> {
        let Some(visit) = visit(session).await? else { return Ok(Vec::new()) };
        let now = self.clock.now();
        let mut found = Vec::new();
        for row in self.db.all(LIVE, values![visit]).await? {
            let row = read(&row)?;
            if billers.by_id(&row.biller_id).is_some_and(|biller| biller.is_active(now)) {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// The row with this id, while it lives, its browser's session lives, and its user is active.
    ///
    /// # Errors
    /// The database failed.
    pub async fn live_by_id(&self, id: &str) -> Result<Option<BillerSession>, DbError> {
        self.db.one(LIVE_BY_ID, values![id]).await?.as_ref().map(read).transpose()
    }

    /// Ends the browser's row for a biller, and the browser's session with the last of them. Answers what was ended.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, session: &Session, biller: &BillerId) -> Result<Option<BillerSession>, SignInError> {
        let Some(visit) = visit(session).await? else { return Ok(None) };
        let mut tx = self.db.begin().await?;
        let ended = tx.all(END, values![&visit, biller.as_str(), self.clock.now()]).await?;
        let left = tx.all(LIVE, values![&visit]).await?;
        tx.commit().await?;
        if left.is_empty() {
            session.flush().await?;
        }
        Ok(ended.first().map(read).transpose()?)
    }

    /// Ends all of a user's rows at a biller.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_user(&self, biller: &BillerId, user: &UserId) -> Result<u64, DbError> {
        self.db.run(END_USER, values![biller.as_str(), user.as_str(), self.clock.now()]).await
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

impl From<SignInError> for super::Refusal {
    fn from(error: SignInError) -> Self {
        Self::internal(&error)
    }
}

async fn visit(session: &Session) -> Result<Option<String>, tower_sessions::session::Error> {
    session.get(VISIT).await
}

fn read(row: &Row) -> Result<BillerSession, DbError> {
    Ok(BillerSession {
        id: row.text(0)?,
        biller_id: BillerId::from_stored(row.text(1)?),
        user_id: UserId::from_stored(row.text(2)?),
        issuer: row.text(3)?,
        subject: row.text(4)?,
        auth_time: row.time(5)?,
        details: serde_json::from_str(&row.text(6)?).unwrap_or_default(),
    })
}
