//! SecureAuth's audit events of a migrated biller's user.

use super::{Provisioning, ProvisioningError};
use crate::directory::Biller;
use crate::secureauth::management::{SecureAuthEvent, SecureAuthEventQuery};
use signpost_core::UserId;

const MAX_EVENTS: usize = 25;

impl Provisioning {
    /// The latest events of a user, newest first.
    pub async fn history(&self, biller: &Biller, user: &UserId) -> Result<Vec<SecureAuthEvent>, ProvisioningError> {
        let (management, user_pool) = self.require_user_pool(biller).await?;
        let query = SecureAuthEventQuery {
            organization: &user_pool.organization,
            pool: Some(&user_pool.pool),
            user: Some(user.as_str()),
            limit: MAX_EVENTS,
        };
        Ok(management.audit_events(&query).await?)
    }
}
