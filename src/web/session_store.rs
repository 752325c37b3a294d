//! Customers' sessions for tower-sessions.

use async_trait::async_trait;
use time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result, SessionStore};

use super::browser_session::BROWSER_SESSION_ID;
use crate::db::DbError;
use crate::sessions::Sessions;
use signpost_core::Timestamp;

/// [`Sessions`] under the trait of tower-sessions.
#[derive(Clone, Debug)]
pub struct TowerSessions(pub Sessions);

#[async_trait]
impl SessionStore for TowerSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let (browser_session_id, data) = write(record)?;
        while !self
            .0
            .create(&record.id.to_string(), &browser_session_id, &data)
            .await
            .map_err(|error| backend_error(&error))?
        {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let (browser_session_id, data) = write(record)?;
        match self.0.save(&record.id.to_string(), &browser_session_id, &data).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Backend("the session has ended".to_owned())),
            Err(error) => Err(backend_error(&error)),
        }
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let found = self.0.load(&id.to_string()).await.map_err(|error| backend_error(&error))?;
        let Some(session) = found else { return Ok(None) };
        let data = serde_json::from_str(&session.data).map_err(|error| Error::Decode(error.to_string()))?;
        let expiry_date = to_offset_date_time(session.created_at.plus(self.0.lifetime().absolute));
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.end(&id.to_string()).await.map_err(|error| backend_error(&error))
    }
}

fn write(record: &Record) -> Result<(String, String)> {
    let browser_session_id = record.data.get(BROWSER_SESSION_ID).and_then(|id| id.as_str()).unwrap_or_default();
    let data = serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
    Ok((browser_session_id.to_owned(), data))
}

fn backend_error(error: &DbError) -> Error {
    Error::Backend(error.to_string())
}

fn to_offset_date_time(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
