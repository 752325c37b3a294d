//! Passwords of a migrated biller's users. They pass through to SecureAuth and are neither stored nor logged.

use secrecy::SecretString;

use super::sync::users;
use super::{Provisioning, ProvisioningError};
use crate::db::DbError;
use crate::directory::{Biller, UserContact};
use signpost_core::{UserId, paths};

impl Provisioning {
    /// Changes the password of a user who knows the old one.
    ///
    /// # Errors
    /// SecureAuth rejects a wrong old password with 401, a new password that violates the policy with 422, and a user who was not
    /// pushed yet with 404.
    pub async fn change_password(
        &self,
        biller: &Biller,
        user: &UserId,
        (old, new): (&SecretString, &SecretString),
    ) -> Result<(), ProvisioningError> {
        let (management, user_pool) = self.require_user_pool(biller).await?;
        Ok(management.interactive().change_password(&user_pool.pool, user.as_str(), (old, new)).await?)
    }

    /// Asks SecureAuth to send the user a reset mail, or an activation mail if the user is `new` there.
    ///
    /// # Errors
    /// SecureAuth rejects a user who was not pushed yet with 404.
    pub async fn request_reset(&self, biller: &Biller, user: &UserId, address: &str) -> Result<(), ProvisioningError> {
        let (management, user_pool) = self.require_user_pool(biller).await?;
        let (management, whom) = (management.interactive(), (user.as_str(), address));
        let pool_user = management.user(&user_pool.pool, user.as_str()).await?;
        if pool_user.is_some_and(|user| user.status == "new") {
            let sign_in =
                self.public_url.join(&paths::biller(&biller.slug)).unwrap_or_else(|_| self.public_url.clone());
            return Ok(management.send_activation(&user_pool.pool, &user_pool.organization, whom, &sign_in).await?);
        }
        Ok(management.request_reset(&user_pool.pool, &user_pool.organization, whom).await?)
    }

    /// Whether SecureAuth can reset the passwords of a biller's users. It cannot if they sign in by SSO.
    pub async fn can_reset_passwords(&self, biller: &Biller) -> Result<bool, DbError> {
        let provisioned = self.user_pool(&biller.id).await?;
        let user_pool = provisioned.as_ref().or(biller.user_pool.as_ref());
        Ok(self.management.is_some() && user_pool.is_some_and(|user_pool| !user_pool.sso))
    }

    /// Like [`Self::request_reset`], also for users in a pool that another system manages. Their ids there are unknown, so they
    /// are found by username or mail address.
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
