//! Passwords of people whose biller was moved: passed on to SecureAuth while somebody waits, never kept, never logged.

use secrecy::SecretString;

use super::{Provisioning, ProvisioningError, users};
use crate::db::DbError;
use crate::directory::{Biller, UserContact};
use signpost_core::UserId;

impl Provisioning {
    /// Changes the password of a user who knows the old one.
    ///
    /// # Errors
    /// The biller was not provisioned; SecureAuth does not answer or refuses: 401 for a wrong old password, 422 for a new one that
    /// is not good enough, 404 for a user who has not arrived there.
    pub async fn change_password(
        &self,
        biller: &Biller,
        user: &UserId,
        (old, new): (&SecretString, &SecretString),
    ) -> Result<(), ProvisioningError> {
        let (management, user_pool) = self.require_user_pool(biller).await?;
        Ok(management.interactive().change_password(&user_pool.pool, user.as_str(), (old, new)).await?)
    }

    /// Has SecureAuth send a mail by which a user sets a new password; or a first one, where the user is `new` there.
    ///
    /// # Errors
    /// The biller was not moved, or SecureAuth does not answer or refuses: 404 for a user who has not arrived there.
    pub async fn request_reset(&self, biller: &Biller, user: &UserId, address: &str) -> Result<(), ProvisioningError> {
        let (management, user_pool) = self.require_user_pool(biller).await?;
        let (management, whom) = (management.interactive(), (user.as_str(), address));
        let there = management.user(&user_pool.pool, user.as_str()).await?;
        if there.is_some_and(|there| there.status == "new") {
            let path = format!("/b/{}", biller.slug);
            let sign_in = self.public_url.join(&path).unwrap_or_else(|_| self.public_url.clone());
            return Ok(management.send_activation(&user_pool.pool, &user_pool.organization, whom, &sign_in).await?);
        }
        Ok(management.request_reset(&user_pool.pool, &user_pool.organization, whom).await?)
    }

    /// Whether SecureAuth can be asked to reset passwords of a biller's people: not where they sign in at a provider of the
    /// biller's own.
    ///
    /// # Errors
    /// The database failed.
    pub async fn can_reset_passwords(&self, biller: &Biller) -> Result<bool, DbError> {
        let provisioned = self.user_pool(&biller.id).await?;
        let user_pool = provisioned.as_ref().or(biller.user_pool.as_ref());
        Ok(self.management.is_some() && user_pool.is_some_and(|user_pool| !user_pool.sso))
    }

    /// As [`Self::request_reset`], also for users in a pool that others keep: they have ids of their own there, and are
    /// found by name.
    ///
    /// # Errors
    /// As there.
    pub async fn request_reset_for(&self, biller: &Biller, account: &UserContact) -> Result<(), ProvisioningError> {
        let provisioned = self.user_pool(&biller.id).await?;
        let (Some(user_pool), None) = (&biller.user_pool, provisioned) else {
            return self.request_reset(biller, &account.user, &account.email).await;
        };
        let management = self.management.as_ref().ok_or(ProvisioningError::NotConfigured)?.interactive();
        let name = if users::is_uid(&account.username) { &account.username } else { &account.email };
        let whom = (name.as_str(), account.email.as_str());
        Ok(management.request_reset_by_identifier(&user_pool.pool, &user_pool.organization, whom).await?)
    }
}
