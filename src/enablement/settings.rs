//! What SecureAuth keeps of a moved biller and we have to say: its name, how its users sign in, which passwords are taken. What
//! is there may have been changed by others; the difference is shown, and ours can be brought there.

use std::collections::BTreeSet;

use super::{CiamMode, EnableError, Enablement};
use crate::audit::{Act, Action, By};
use crate::directory::Biller;
use crate::secureauth::management::{Organization, PasswordPolicy, Pool, PoolChange};
use crate::values;
use signpost_core::Slug;

/// Accounts at SecureAuth keep their passwords in either mode; whoever signs in at the biller's own provider has none there.
const SET_MODE: &str = "UPDATE job SET mode = $2 WHERE mode <> 'sso' AND id = (SELECT id FROM job \
     WHERE biller_id = $1 AND state = 'active' ORDER BY created_at DESC, id DESC LIMIT 1)";

/// A setting that SecureAuth keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub name: String,
    /// As it is to be; none: that is left to SecureAuth.
    pub ours: Option<String>,
    /// As it is there.
    pub theirs: String,
}

impl Kept {
    /// Whether it is there as it is to be.
    pub fn is_kept(&self) -> bool {
        self.ours.as_ref().is_none_or(|ours| *ours == self.theirs)
    }
}

impl Enablement {
    /// How a moved biller's settings are at SecureAuth, beside how they are to be.
    ///
    /// # Errors
    /// The biller was not moved by a job, SecureAuth does not answer, or the database failed.
    pub async fn kept_settings(&self, biller: &Biller) -> Result<Vec<Kept>, EnableError> {
        let (management, home) = self.at_home(biller).await?;
        let mode = self.mode_of(biller).await?;
        let management = management.in_a_hurry();
        let gone = |what, id: &str| EnableError::Gone { what, id: id.to_owned() };
        let organization = management.organization(&home.organization).await?;
        let organization = organization.ok_or_else(|| gone("organization", &home.organization))?;
        let pool = management.pool(&home.pool).await?.ok_or_else(|| gone("pool", &home.pool))?;
        Ok(compare(biller, mode, &organization, &pool))
    }

    /// Keeps how a moved biller's users are to sign in and which passwords are to be taken: here, in one transaction. It is
    /// brought to SecureAuth by [`Enablement::bring_settings`].
    ///
    /// # Errors
    /// The biller was not moved by a job, or the database failed: nothing was changed then.
    pub async fn keep_settings(
        &self,
        slug: &Slug,
        (mode, policy): (Option<CiamMode>, PasswordPolicy),
        by: &By,
    ) -> Result<(), EnableError> {
        let biller = self.biller(slug).await?;
        self.at_home(&biller).await?;
        let mut tx = self.db.begin().await?;
        let act = Act::of(Action::BillerChanged);
        let act = if let Some(mode) = mode { act.with("mode", mode.as_str()) } else { act };
        let change = |biller: &mut Biller| biller.settings.password_policy = policy;
        self.directory.change_biller_in(&mut tx, slug, (by, act), change).await?;
        if let Some(mode) = mode {
            tx.run(SET_MODE, values![biller.id.as_str(), mode.as_str()]).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Brings SecureAuth's settings of a moved biller in line with ours; whatever else it keeps stays. Safe to repeat.
    ///
    /// # Errors
    /// The biller was not moved by a job, SecureAuth does not answer, or the database failed.
    pub async fn bring_settings(&self, slug: &Slug, by: &By) -> Result<(), EnableError> {
        let biller = self.biller(slug).await?;
        let (management, home) = self.at_home(&biller).await?;
        let mode = self.mode_of(&biller).await?;
        by.note_alone(&self.db, Act::of(Action::SettingsBrought).at(slug)).await?;
        let management = management.in_a_hurry();
        management.rename_organization(&home.organization, &biller.name).await?;
        Ok(management.change_pool(&home.pool, &pool_settings(&biller, mode)).await?)
    }

    async fn mode_of(&self, biller: &Biller) -> Result<CiamMode, EnableError> {
        Ok(self.modes().await?.get(biller.id.as_str()).copied().unwrap_or_default())
    }
}

/// What is ours to say about a biller's pool.
pub(super) fn pool_settings(biller: &Biller, mode: CiamMode) -> PoolChange<'_> {
    let mechanisms = (mode != CiamMode::Sso).then(|| mode.mechanisms());
    PoolChange { name: &biller.name, mechanisms, policy: biller.settings.password_policy }
}

fn compare(biller: &Biller, mode: CiamMode, organization: &Organization, pool: &Pool) -> Vec<Kept> {
    let ours = pool_settings(biller, mode);
    let setting = |name: &str, ours: Option<String>, theirs: String| Kept { name: name.to_owned(), ours, theirs };
    let name = || Some(biller.name.clone());
    let mut kept = vec![
        setting("Name of the organization", name(), organization.name.clone()),
        setting("Name of the pool", name(), pool.name.clone()),
    ];
    if let Some((first, second)) = ours.mechanisms {
        let there = |mechanisms: &Option<Vec<String>>| list(mechanisms.as_deref().unwrap_or_default());
        let (theirs, their_second) =
            (there(&pool.authentication_mechanisms), there(&pool.second_factor_authentication_mechanisms));
        kept.push(setting("Means of signing in", Some(list(first)), theirs));
        kept.push(setting("Second factors", Some(list(second)), their_second));
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    kept.push(setting("Anybody may register", Some(yes_no(false)), yes_no(pool.public_registration_allowed)));
    let alike = yes_no(pool.identifier_case_insensitive);
    kept.push(setting("Capital letters in usernames make no difference", Some(yes_no(true)), alike));
    let told = |number: Option<u16>| number.map_or_else(|| "not set".to_owned(), |number| number.to_string());
    let (wanted, there) = (ours.policy.numbers(), pool.password_policy.numbers());
    for ((_, name, wanted), (_, _, there)) in wanted.into_iter().zip(there) {
        kept.push(setting(&format!("Passwords: {name}"), wanted.map(|wanted| wanted.to_string()), told(there)));
    }
    let strength = |policy: &PasswordPolicy| policy.strength.map(|strength| strength.as_str().replace('_', " "));
    let theirs = strength(&pool.password_policy).unwrap_or_else(|| "not set".to_owned());
    kept.push(setting("Passwords: strength", strength(&ours.policy), theirs));
    kept
}

/// A list in words, whatever its order.
fn list(words: &[impl AsRef<str>]) -> String {
    let words: BTreeSet<&str> = words.iter().map(AsRef::as_ref).collect();
    if words.is_empty() { "none".to_owned() } else { words.into_iter().collect::<Vec<_>>().join(", ") }
}
