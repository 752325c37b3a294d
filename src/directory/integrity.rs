//! The assumption that a username has one legacy biller at most, looked at over the whole directory.

use super::{Directory, DirectoryError};
use crate::values;
use signpost_core::Timestamp;

/// Names with several memberships are found in the index alone; few are left to be looked at.
const AMBIGUOUS: &str = "SELECT m.username_key FROM \
     (SELECT username_key FROM membership GROUP BY username_key HAVING count(*) > 1) several \
     JOIN membership m ON m.username_key = several.username_key \
     JOIN biller b ON b.id = m.biller_id AND (b.state <> 'active' OR b.active_from > $1) \
     JOIN users u ON u.id = m.user_id AND u.status <> 'deleted' \
     GROUP BY m.username_key HAVING count(*) > 1 ORDER BY m.username_key LIMIT $2";

impl Directory {
    /// Usernames with two legacy billers or more, by key; at most `limit`. Rollouts are not looked at: a name that one leaves
    /// out for now is no mistake.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ambiguous_usernames(&self, now: Timestamp, limit: usize) -> Result<Vec<String>, DirectoryError> {
        let rows = self.db.all(AMBIGUOUS, values![now, i64::try_from(limit).unwrap_or(i64::MAX)]).await?;
        rows.iter().map(|row| Ok(row.text(0)?)).collect()
    }
}
