//! What SecureAuth keeps of a moved biller and we have to say: its name, how its users sign in, which passwords are taken. What
//! is there may have been changed by others; the difference is shown, and ours can be brought there.

use std::collections::BTreeSet;

use super::{Provisioning, ProvisioningError, mechanisms};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::directory::Biller;
use crate::secureauth::management::{Organization, PasswordPolicy, Pool, PoolSettings};
use signpost_core::Slug;
use signpost_core::decision::CiamMode;

/// A setting that SecureAuth keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSetting {
    /// Which.
    pub name: String,
    /// As it is to be; none: that is left to SecureAuth.
    pub expected: Option<String>,
    /// As it is there.
    pub actual: String,
}

impl RemoteSetting {
    /// Whether it is there as it is to be.
    pub fn is_in_sync(&self) -> bool {
        self.expected.as_ref().is_none_or(|expected| *expected == self.actual)
    }
}

impl Provisioning {
    /// How a moved biller's settings are at SecureAuth, beside how they are to be.
    ///
    /// # Errors
    /// The biller was not moved by a job, SecureAuth does not answer, or the database failed.
    pub async fn remote_settings(&self, biller: &Biller) -> Result<Vec<RemoteSetting>, ProvisioningError> {
        let (management, user_pool) = self.require_user_pool(biller).await?;
        let management = management.interactive();
        let missing = |kind, id: &str| ProvisioningError::ResourceMissing { kind, id: id.to_owned() };
        let organization = management.organization(&user_pool.organization).await?;
        let organization = organization.ok_or_else(|| missing("organization", &user_pool.organization))?;
        let pool = management.pool(&user_pool.pool).await?.ok_or_else(|| missing("pool", &user_pool.pool))?;
        Ok(compare(biller, &organization, &pool))
    }

    /// Keeps how a moved biller's users are to sign in and which passwords are to be taken: here, in one transaction. It is
    /// brought to SecureAuth by [`Provisioning::sync_settings`].
    ///
    /// # Errors
    /// The biller was not moved by a job, or the database failed: nothing was changed then.
    pub async fn save_settings(
        &self,
        slug: &Slug,
        (mode, policy): (Option<CiamMode>, PasswordPolicy),
        actor: &ActorContext,
    ) -> Result<(), ProvisioningError> {
        let biller = self.biller(slug).await?;
        self.require_user_pool(&biller).await?;
        let mut tx = self.db.begin().await?;
        let event = AuditEvent::new(Action::BillerUpdated);
        let event = if let Some(mode) = mode { event.with("mode", mode.as_str()) } else { event };
        let change = |biller: &mut Biller| {
            let settings = &mut biller.settings;
            settings.password_policy = policy;
            // An SSO biller has no passwords at SecureAuth, so it cannot change to another mode.
            if mode.is_some() && settings.ciam_mode != Some(CiamMode::Sso) {
                settings.ciam_mode = mode;
            }
        };
        self.directory.update_biller_in(&mut tx, slug, (actor, event), change).await?;
        Ok(tx.commit().await?)
    }

    /// Brings SecureAuth's settings of a moved biller in line with ours; whatever else it keeps stays. Safe to repeat.
    ///
    /// # Errors
    /// The biller was not moved by a job, SecureAuth does not answer, or the database failed.
    pub async fn sync_settings(&self, slug: &Slug, actor: &ActorContext) -> Result<(), ProvisioningError> {
        let biller = self.biller(slug).await?;
        let (management, user_pool) = self.require_user_pool(&biller).await?;
        actor.record_alone(&self.db, AuditEvent::new(Action::SettingsSynced).at(slug)).await?;
        let management = management.interactive();
        management.rename_organization(&user_pool.organization, &biller.name).await?;
        Ok(management.update_pool(&user_pool.pool, &pool_settings(&biller, mode_of(&biller))).await?)
    }
}

fn mode_of(biller: &Biller) -> CiamMode {
    biller.settings.ciam_mode.unwrap_or_default()
}

/// What is ours to say about a biller's pool.
pub(super) fn pool_settings(biller: &Biller, mode: CiamMode) -> PoolSettings<'_> {
    let mechanisms = (mode != CiamMode::Sso).then(|| mechanisms(mode));
    PoolSettings { name: &biller.name, mechanisms, policy: biller.settings.password_policy }
}

fn compare(biller: &Biller, organization: &Organization, pool: &Pool) -> Vec<RemoteSetting> {
    let expected = pool_settings(biller, mode_of(biller));
    let setting = |name: &str, expected: Option<String>, actual: String| RemoteSetting {
        name: name.to_owned(),
        expected,
        actual,
    };
    let name = || Some(biller.name.clone());
    let mut settings = vec![
        setting("Name of the organization", name(), organization.name.clone()),
        setting("Name of the pool", name(), pool.name.clone()),
    ];
    if let Some((first, second)) = expected.mechanisms {
        let found = |mechanisms: &Option<Vec<String>>| list(mechanisms.as_deref().unwrap_or_default());
        let (actual, actual_second) =
            (found(&pool.authentication_mechanisms), found(&pool.second_factor_authentication_mechanisms));
        settings.push(setting("Means of signing in", Some(list(first)), actual));
        settings.push(setting("Second factors", Some(list(second)), actual_second));
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    settings.push(setting("Anybody may register", Some(yes_no(false)), yes_no(pool.public_registration_allowed)));
    let case_insensitive = yes_no(pool.identifier_case_insensitive);
    settings.push(setting("Capital letters in usernames make no difference", Some(yes_no(true)), case_insensitive));
    let format_count = |number: Option<u16>| number.map_or_else(|| "not set".to_owned(), |number| number.to_string());
    let (desired, found) = (expected.policy.counts(), pool.password_policy.counts());
    for ((_, name, desired), (_, _, found)) in desired.into_iter().zip(found) {
        settings.push(setting(
            &format!("Passwords: {name}"),
            desired.map(|desired| desired.to_string()),
            format_count(found),
        ));
    }
    let strength = |policy: &PasswordPolicy| policy.strength.map(|strength| strength.as_str().replace('_', " "));
    let actual = strength(&pool.password_policy).unwrap_or_else(|| "not set".to_owned());
    settings.push(setting("Passwords: strength", strength(&expected.policy), actual));
    settings
}

/// A list in words, whatever its order.
fn list(words: &[impl AsRef<str>]) -> String {
    let words: BTreeSet<&str> = words.iter().map(AsRef::as_ref).collect();
    if words.is_empty() { "none".to_owned() } else { words.into_iter().collect::<Vec<_>>().join(", ") }
}
