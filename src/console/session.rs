//! Sessions of staff: in a table and under a cookie of their own, ended by the server after idle and absolute time.

use std::time::Duration;

use axum::http::HeaderMap;

use super::Console;
use super::staff::{Role, Staff};
use crate::db::{DbError, Sql};
use crate::web::cookies;
use crate::{sql, values};
use signpost_core::text::sha256;

/// The cookie's name.
const COOKIE: &str = "__Host-staff";
/// `last_seen` is written at most so often.
const TOUCH_INTERVAL: Duration = Duration::from_secs(30);

const INSERT: Sql = sql!(
    "INSERT INTO staff_session (id_hash, issuer, subject, name, roles, created_at, last_seen) \
     VALUES ($1, $2, $3, $4, $5, $6, $6)"
);
const LOAD: Sql = sql!(
    "SELECT subject, name, roles, last_seen FROM staff_session \
     WHERE id_hash = $1 AND issuer = $2 AND ended_at IS NULL AND last_seen > $3 AND created_at > $4"
);
const TOUCH: Sql =
    sql!("UPDATE staff_session SET last_seen = $2 WHERE id_hash = $1 AND ended_at IS NULL AND last_seen < $2");
const END: Sql = sql!("UPDATE staff_session SET ended_at = $2 WHERE id_hash = $1 AND ended_at IS NULL");
const SWEEP: Sql = sql!("DELETE FROM staff_session WHERE created_at < $1");
const SELECT_NAME: Sql = sql!("SELECT name FROM staff_session WHERE subject = $1 ORDER BY created_at DESC LIMIT 1");

impl Console {
    /// Begins a session, ends the one this browser had, and answers the `Set-Cookie` line.
    pub(super) async fn begin_session(&self, headers: &HeaderMap, staff: &Staff) -> Result<String, DbError> {
        let (id, now) = (self.app.random.token::<32>(), self.app.clock.now());
        let roles: Vec<&str> = staff.roles.iter().map(|role| role.as_str()).collect();
        let issuer = self.settings().issuer.as_str();
        let row =
            values![sha256(id.as_bytes()), issuer, staff.subject.as_str(), staff.name.as_str(), roles.join(" "), now];
        let mut tx = self.app.db.begin().await?;
        tx.run(SWEEP, values![now.minus(self.max_lifetime())]).await?;
        if let Some(before) = id_hash(headers) {
            tx.run(END, values![before, now]).await?;
        }
        tx.run(INSERT, row).await?;
        tx.commit().await?;
        Ok(cookies::set_strict(COOKIE, id, self.max_lifetime()))
    }

    /// Who this browser's session belongs to, while it lives. The roles are those of the sign-in.
    pub(super) async fn session(&self, headers: &HeaderMap) -> Result<Option<Staff>, DbError> {
        let Some(id_hash) = id_hash(headers) else { return Ok(None) };
        let now = self.app.clock.now();
        let idle = Duration::from_secs(self.settings().idle_minutes * 60);
        let issuer = self.settings().issuer.as_str();
        let values = values![&id_hash, issuer, now.minus(idle), now.minus(self.max_lifetime())];
        let Some(row) = self.app.db.one(LOAD, values).await? else { return Ok(None) };
        if row.time("last_seen")?.plus(TOUCH_INTERVAL) <= now {
            self.app.db.run(TOUCH, values![&id_hash, now]).await?;
        }
        let roles = row.text("roles")?;
        let roles = Role::ALL.into_iter().filter(|role| roles.split(' ').any(|name| name == role.as_str())).collect();
        Ok(Some(Staff { subject: row.text("subject")?, name: row.text("name")?, roles }))
    }

    /// Ends this browser's session; answers the line that removes the cookie.
    pub(super) async fn end_session(&self, headers: &HeaderMap) -> Result<String, DbError> {
        if let Some(id_hash) = id_hash(headers) {
            self.app.db.run(END, values![id_hash, self.app.clock.now()]).await?;
        }
        Ok(cookies::set_strict(COOKIE, "", Duration::ZERO))
    }

    /// The display name of a [`Staff::identity`] while one of its sessions is stored; else the identity.
    pub(super) async fn display_name(&self, person: &str) -> Result<String, DbError> {
        let Some(subject) = person.strip_prefix("staff ") else { return Ok(person.to_owned()) };
        let row = self.app.db.one(SELECT_NAME, values![subject]).await?;
        row.map_or_else(|| Ok(person.to_owned()), |row| row.text("name"))
    }

    fn max_lifetime(&self) -> Duration {
        Duration::from_secs(self.settings().absolute_hours * 3600)
    }
}

/// Whether the browser brought a session's cookie at all.
pub(super) fn has_cookie(headers: &HeaderMap) -> bool {
    cookies::get(headers, COOKIE).is_some()
}

fn id_hash(headers: &HeaderMap) -> Option<String> {
    cookies::get(headers, COOKIE).map(|cookie| sha256(cookie.value().as_bytes()))
}
