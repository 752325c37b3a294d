//! What SecureAuth noted of a user of a moved biller.

use super::{EnableError, Enablement};
use crate::directory::Biller;
use crate::secureauth::management::{AuditEvent, AuditQuery};
use signpost_core::UserId;

/// Events that are asked for.
const MOST: usize = 25;

impl Enablement {
    /// The latest sign-ins of a user and what was done about him or her, the newest first.
    ///
    /// # Errors
    /// The biller's users are not kept at SecureAuth by us, or it could not be asked.
    pub async fn history(&self, biller: &Biller, user: &UserId) -> Result<Vec<AuditEvent>, EnableError> {
        let (management, home) = self.at_home(biller).await?;
        let query = AuditQuery {
            organization: &home.organization,
            pool: Some(&home.pool),
            user: Some(user.as_str()),
            limit: MOST,
            ..AuditQuery::default()
        };
        Ok(management.audit_events(&query).await?)
    }
}
