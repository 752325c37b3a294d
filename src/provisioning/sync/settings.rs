//! Settings of a migrated biller that SecureAuth keeps a copy of: its name, how its users sign in, and its password policy.
//! Another system may have changed them there. Signpost shows the difference and can write its own values again.

use std::collections::BTreeSet;

use crate::audit::{Action, ActorContext, AuditEvent};
use crate::directory::Biller;
use crate::provisioning::{CiamMode, Provisioning, ProvisioningError, mechanisms};
use crate::secureauth::management::{Organization, PasswordPolicy, Pool, PoolSettings};
use signpost_core::Slug;
use signpost_core::decision::CiamState;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSetting {
    pub name: String,
    /// Signpost's value. `None` leaves the setting to SecureAuth.
    pub expected: Option<String>,
    /// SecureAuth's value.
    pub actual: String,
}

impl RemoteSetting {
    pub fn is_in_sync(&self) -> bool {
        self.expected.as_ref().is_none_or(|expected| *expected == self.actual)
    }
}

impl Provisioning {
    /// Compares a migrated biller's settings with SecureAuth's.
    pub async fn remote_settings(&self, biller: &Biller) -> Result<Vec<RemoteSetting>, ProvisioningError> {
        let (management, user_pool) = self.require_user_pool(biller).await?;
        let management = management.interactive();
        let missing = |kind, id: &str| ProvisioningError::ResourceMissing { kind, id: id.to_owned() };
        let organization = management.organization(&user_pool.organization).await?;
        let organization = organization.ok_or_else(|| missing("organization", &user_pool.organization))?;
        let pool = management.pool(&user_pool.pool).await?.ok_or_else(|| missing("pool", &user_pool.pool))?;
        Ok(compare(biller, &organization, &pool))
    }

    /// Saves a migrated biller's mode and password policy in the directory. [`Provisioning::sync_settings`] writes them to
    /// SecureAuth.
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
            biller.settings.password_policy = policy;
            // An SSO biller has no passwords at SecureAuth, so it cannot change to another mode.
            if mode.is_some() && biller.ciam_mode != Some(CiamMode::Sso) {
                biller.ciam_mode = mode;
            }
        };
        self.directory.update_biller_in(&mut tx, slug, (actor, event), change).await?;
        Ok(tx.commit().await?)
    }

    /// Writes a migrated biller's settings to SecureAuth. Its other settings there stay. A repetition changes nothing.
    pub async fn sync_settings(&self, slug: &Slug, actor: &ActorContext) -> Result<(), ProvisioningError> {
        let biller = self.biller(slug).await?;
        let (management, user_pool) = self.require_user_pool(&biller).await?;
        actor.record_alone(&self.db, AuditEvent::new(Action::SettingsSynced).at(slug)).await?;
        let management = management.interactive();
        management.rename_organization(&user_pool.organization, &biller.name).await?;
        management.set_organization_deactivated(&user_pool.organization, is_suspended(&biller)).await?;
        Ok(management.update_pool(&user_pool.pool, &pool_settings(&biller, mode_of(&biller))).await?)
    }
}

/// The organization of a suspended biller is deactivated.
fn is_suspended(biller: &Biller) -> bool {
    biller.state == CiamState::Suspended
}

fn mode_of(biller: &Biller) -> CiamMode {
    biller.ciam_mode.unwrap_or_default()
}

/// Signpost's settings for a biller's pool.
pub(in crate::provisioning) fn pool_settings(biller: &Biller, mode: CiamMode) -> PoolSettings<'_> {
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
        settings.push(setting("Authentication methods", Some(list(first)), actual));
        settings.push(setting("Second factors", Some(list(second)), actual_second));
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let deactivated = yes_no(organization.deactivated);
    settings.push(setting("Organization deactivated", Some(yes_no(is_suspended(biller))), deactivated));
    settings.push(setting("Public registration", Some(yes_no(false)), yes_no(pool.public_registration_allowed)));
    let case_insensitive = yes_no(pool.identifier_case_insensitive);
    settings.push(setting("Case-insensitive usernames", Some(yes_no(true)), case_insensitive));
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

/// Sorted, since the order means nothing.
fn list(words: &[impl AsRef<str>]) -> String {
    let words: BTreeSet<&str> = words.iter().map(AsRef::as_ref).collect();
    if words.is_empty() { "none".to_owned() } else { words.into_iter().collect::<Vec<_>>().join(", ") }
}
