//! Sessions of staff.

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Console;
use super::staff::{Role, Staff};
use crate::db::DbError;
use crate::web::session_cookie::STAFF;

/// What a session keeps beside the subject, which owns it.
#[derive(Serialize, Deserialize)]
struct SessionData {
    issuer: String,
    name: String,
    roles: Vec<String>,
}

impl Console {
    /// Begins a session, ends the one this browser had, and answers the `Set-Cookie` line.
    pub(super) async fn begin_session(&self, headers: &HeaderMap, staff: &Staff) -> Result<String, DbError> {
        let id = self.app.random.token::<32>();
        let data = SessionData {
            issuer: self.settings().issuer.clone(),
            name: staff.name.clone(),
            roles: staff.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        };
        let data = serde_json::to_string(&data).unwrap_or_default();
        self.sessions.replace(STAFF.id(headers).as_deref(), &id, &staff.subject, &data).await?;
        Ok(STAFF.set(&id, Some(self.sessions.lifetime().absolute)))
    }

    /// Who this browser's session belongs to, while it lives. The roles are those of the sign-in.
    pub(super) async fn session(&self, headers: &HeaderMap) -> Result<Option<Staff>, DbError> {
        let Some(id) = STAFF.id(headers) else { return Ok(None) };
        let Some(session) = self.sessions.load(&id).await? else { return Ok(None) };
        let Some(data) = self.session_data(&session.data) else { return Ok(None) };
        let roles = Role::ALL.into_iter().filter(|role| data.roles.iter().any(|name| name == role.as_str())).collect();
        Ok(Some(Staff { subject: session.owner, name: data.name, roles }))
    }

    /// Ends this browser's session; answers the line that removes the cookie.
    pub(super) async fn end_session(&self, headers: &HeaderMap) -> Result<String, DbError> {
        if let Some(id) = STAFF.id(headers) {
            self.sessions.end(&id).await?;
        }
        Ok(STAFF.remove())
    }

    /// The display name of a [`Staff::identity`] while one of its sessions is stored; else the identity.
    pub(super) async fn display_name(&self, person: &str) -> Result<String, DbError> {
        let Some(subject) = person.strip_prefix("staff ") else { return Ok(person.to_owned()) };
        let latest = self.sessions.latest_of(subject).await?;
        let name = latest.and_then(|data| self.session_data(&data)).map(|data| data.name);
        Ok(name.unwrap_or_else(|| person.to_owned()))
    }

    /// `None`: the session is from an issuer that is not configured any more, where its subject may be another person.
    fn session_data(&self, data: &str) -> Option<SessionData> {
        let data: SessionData = serde_json::from_str(data).ok()?;
        (data.issuer == self.settings().issuer).then_some(data)
    }
}

/// Whether the browser sent a session's cookie at all.
pub(super) fn has_cookie(headers: &HeaderMap) -> bool {
    STAFF.id(headers).is_some()
}
