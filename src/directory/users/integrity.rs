//! Checks the assumption that a username belongs to at most one legacy biller.

use crate::db::Sql;
use crate::directory::{Directory, DirectoryError};
use crate::{sql, values};
use signpost_core::Timestamp;

/// The index alone finds the names with several memberships; few remain to be joined.
const AMBIGUOUS: Sql = sql!(
    "SELECT m.username_key FROM \
     (SELECT username_key FROM membership GROUP BY username_key HAVING count(*) > 1) several \
     JOIN membership m ON m.username_key = several.username_key \
     JOIN biller b ON b.id = m.biller_id AND (b.state <> 'active' OR b.active_from > $1) \
     JOIN users u ON u.id = m.user_id AND u.status <> 'deleted' \
     GROUP BY m.username_key HAVING count(*) > 1 ORDER BY m.username_key LIMIT $2"
);

impl Directory {
    /// Keys of usernames that belong to two or more legacy billers, at most `limit`. Rollouts do not count: a user whom a rollout
    /// leaves at the legacy portal for now is no error.
    pub async fn ambiguous_usernames(&self, now: Timestamp, limit: usize) -> Result<Vec<String>, DirectoryError> {
        let rows = self.db.all(AMBIGUOUS, values![now, i64::try_from(limit).unwrap_or(i64::MAX)]).await?;
        rows.iter().map(|row| Ok(row.text("username_key")?)).collect()
    }
}
