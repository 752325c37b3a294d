//! What SecureAuth noted of a user of a moved biller.

use super::{Provisioning, ProvisioningError};
use crate::directory::Biller;
use crate::secureauth::management::{SecureAuthEvent, SecureAuthEventQuery};
use signpost_core::UserId;

/// Events that are asked for.
const MAX_EVENTS: usize = 25;

impl Provisioning {
    /// The latest sign-ins of a user and what was done about him or her, the newest first.
    ///
    /// # Errors
    /// The biller's users are not kept at SecureAuth by us, or it could not be asked.
    pub async fn history(&self, biller: &Biller, user: &UserId) -> Result<Vec<SecureAuthEvent>, ProvisioningError> {
        let (management, user_pool) = self.require_user_pool(biller).await?;
        let query = SecureAuthEventQuery {
            organization: &user_pool.organization,
            pool: Some(&user_pool.pool),
            user: Some(user.as_str()),
            limit: MAX_EVENTS,
            ..SecureAuthEventQuery::default()
        };
        Ok(management.audit_events(&query).await?)
    }
}
