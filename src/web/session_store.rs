//! Browser sessions in the database, for tower-sessions.
//!
//! What the ready stores lack, and why this is our own: the id is kept as a hash, so that a leaked table gives no cookies;
//! `save` never brings back a session that has ended (another tab may have signed out meanwhile); life is judged on the
//! server by idle and absolute time.

use std::time::Duration;

use async_trait::async_trait;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use http::header::SET_COOKIE;
use time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result, SessionStore};

use super::paths::LOGOUT;
use crate::config::Sessions;
use crate::db::{Db, DbError, Sql};
use crate::{sql, values};
use signpost_core::text::sha256;
use signpost_core::{Clock, Timestamp};

const INSERT: Sql = sql!(
    "INSERT INTO session (id_hash, browser_session_id, data, created_at, last_seen) VALUES ($1, $2, $3, $4, $4) \
     ON CONFLICT DO NOTHING"
);
const SAVE: Sql = sql!(
    "UPDATE session SET browser_session_id = $2, data = $3, last_seen = $4 WHERE id_hash = $1 AND ended_at IS NULL"
);
const SWEEP_BILLER_SESSIONS: Sql = sql!(
    "DELETE FROM biller_session WHERE created_at < $1 AND NOT EXISTS \
     (SELECT 1 FROM session s WHERE s.browser_session_id = biller_session.browser_session_id \
     AND s.ended_at IS NULL AND s.last_seen >= $1)"
);
const SWEEP: Sql = sql!("DELETE FROM session WHERE last_seen < $1");
const LOAD: Sql = sql!(
    "SELECT data, created_at, last_seen FROM session \
     WHERE id_hash = $1 AND ended_at IS NULL AND last_seen > $2 AND created_at > $3"
);
const TOUCH: Sql = sql!("UPDATE session SET last_seen = $2 WHERE id_hash = $1 AND ended_at IS NULL AND last_seen < $2");
const END: Sql = sql!("UPDATE session SET ended_at = $2 WHERE id_hash = $1 AND ended_at IS NULL");

/// `last_seen` is written at most so often.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

/// Key of the session's data that holds the browser session id: it outlives the rotation of the session's id.
pub const BROWSER_SESSION_ID: &str = "browser_session_id";

/// The store.
#[derive(Clone, Debug)]
pub struct DbSessionStore {
    db: Db,
    clock: Clock,
    idle: Duration,
    absolute: Duration,
}

impl DbSessionStore {
    /// On a database, by the settings.
    pub fn new(db: Db, clock: Clock, config: &Sessions) -> Self {
        let idle = Duration::from_secs(config.idle_minutes * 60);
        Self { db, clock, idle, absolute: Duration::from_secs(config.absolute_hours * 3600) }
    }
}

#[async_trait]
impl SessionStore for DbSessionStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        loop {
            let (browser_session_id, data) = write(record)?;
            let values = values![hash(&record.id), browser_session_id, data, self.clock.now()];
            if self.db.run(INSERT, values).await.map_err(|error| backend_error(&error))? > 0 {
                return Ok(());
            }
            record.id = Id::default();
        }
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let (browser_session_id, data) = write(record)?;
        let values = values![hash(&record.id), browser_session_id, data, self.clock.now()];
        match self.db.run(SAVE, values).await.map_err(|error| backend_error(&error))? {
            0 => Err(Error::Backend("the session has ended".to_owned())),
            _ => Ok(()),
        }
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let (id_hash, now) = (hash(id), self.clock.now());
        let values = values![&id_hash, now.minus(self.idle), now.minus(self.absolute)];
        let Some(row) = self.db.one(LOAD, values).await.map_err(|error| backend_error(&error))? else {
            return Ok(None);
        };
        let data = row.text("data").map_err(|error| backend_error(&error))?;
        let created_at = row.time("created_at").map_err(|error| backend_error(&error))?;
        if row.time("last_seen").map_err(|error| backend_error(&error))?.plus(TOUCH_INTERVAL) <= now {
            // A database that can only be read still knows who is signed in.
            if let Err(error) = self.db.run(TOUCH, values![&id_hash, now]).await {
                tracing::debug!(error = %error, "the last use of a session was not written");
            }
        }
        let data = serde_json::from_str(&data).map_err(|error| Error::Decode(error.to_string()))?;
        let expiry_date = to_offset_date_time(created_at.plus(self.absolute));
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.db.run(END, values![hash(id), self.clock.now()]).await.map(|_| ()).map_err(|error| backend_error(&error))
    }
}

/// The cookie's name.
pub const COOKIE: &str = "__Host-s";

/// Corrects what tower-sessions does about an absent session: the removal of a `__Host-` cookie needs the
/// attributes it was set with, and belongs on answers of the logout only. Elsewhere the answer to a slow request would take
/// away the cookie that a quicker one has just renewed.
pub async fn fix_session_cookie(request: Request, next: Next) -> Response {
    const REMOVAL: HeaderValue =
        HeaderValue::from_static("__Host-s=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    let is_logout = request.uri().path() == LOGOUT;
    let mut response = next.run(request).await;
    let is_removal = |line: &HeaderValue| line.as_bytes().starts_with(b"__Host-s=;");
    let lines: Vec<HeaderValue> = response.headers().get_all(SET_COOKIE).iter().cloned().collect();
    if lines.iter().any(is_removal) {
        response.headers_mut().remove(SET_COOKIE);
        for line in lines {
            match is_removal(&line) {
                true if is_logout => response.headers_mut().append(SET_COOKIE, REMOVAL),
                true => continue,
                false => response.headers_mut().append(SET_COOKIE, line),
            };
        }
    }
    response
}

/// Deletes sessions that were last seen before this time, and the biller sessions that belonged to such sessions.
pub async fn sweep(db: &Db, last_seen_before: Timestamp) -> std::result::Result<(), DbError> {
    db.run(SWEEP_BILLER_SESSIONS, values![last_seen_before]).await?;
    db.run(SWEEP, values![last_seen_before]).await?;
    Ok(())
}

fn hash(id: &Id) -> String {
    sha256(id.to_string().as_bytes())
}

fn write(record: &Record) -> Result<(String, String)> {
    let browser_session_id = record
        .data
        .get(BROWSER_SESSION_ID)
        .and_then(|browser_session_id| browser_session_id.as_str())
        .unwrap_or_default()
        .to_owned();
    let data = serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
    Ok((browser_session_id, data))
}

fn backend_error(error: &DbError) -> Error {
    Error::Backend(error.to_string())
}

fn to_offset_date_time(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
