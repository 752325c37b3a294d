//! Bringing one user of a pool to the directory's present state: made, changed, switched off, or deleted.
//!
//! What is there is read first, and changed only if nobody has changed it since. Where the vendor's users have more than ours
//! (attributes of others, telephone numbers), that stays; usernames and mail addresses are the directory's.

use serde_json::{Map, Value, json};

use super::users::{self, Mover};
use super::{EnableError, Enablement, ledger};
use crate::db::DbError;
use crate::directory::{Biller, Home};
use crate::secureauth::management::{CallError, Management, PoolUser};
use crate::values;
use signpost_core::{BillerId, UserId};

const ONE: &str = "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     p.sealed FROM membership m JOIN users u ON u.id = m.user_id LEFT JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND m.user_id = $2 AND u.status <> 'deleted'";
/// How often a change is begun again because somebody else has changed the user meanwhile.
const STALE_TRIES: u32 = 3;

/// Why a user was not brought to the present state.
#[derive(Debug, thiserror::Error)]
pub enum BringError {
    /// The username does not fit there, and there is no mail address.
    #[error("the username is not printable ASCII without spaces, and there is no mail address")]
    Unfit,
    /// Somebody else of the pool has a username or mail address.
    #[error("a username or mail address belongs to {0} there")]
    Taken(String),
    /// SecureAuth.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Enablement {
    /// Where a biller's users are kept, if a job of ours moved them.
    pub(super) async fn home(&self, biller: &BillerId) -> Result<Option<Home>, DbError> {
        ledger::home_of(&self.db, biller).await
    }

    /// The management API and where a biller's users are.
    pub(super) async fn at_home(&self, biller: &Biller) -> Result<(&Management, Home), EnableError> {
        let management = self.management.as_ref().ok_or(EnableError::NotConfigured)?;
        let home = self.home(&biller.id).await?;
        Ok((management, home.ok_or_else(|| EnableError::NoPool(biller.slug.clone()))?))
    }

    /// Brings a user there to the present state here; safe to repeat.
    pub(super) async fn bring(
        &self,
        management: &Management,
        (biller, home): (&Biller, &Home),
        user: &UserId,
    ) -> Result<(), BringError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.bring_once(management, (biller, home), user).await {
                Err(BringError::Call(error)) if error.is(412) && tries < STALE_TRIES => {}
                done => return done,
            }
        }
    }

    async fn bring_once(
        &self,
        management: &Management,
        (biller, home): (&Biller, &Home),
        user: &UserId,
    ) -> Result<(), BringError> {
        let row = self.db.one(ONE, values![biller.id.as_str(), user.as_str()]).await?;
        let wanted = row.map(|row| users::read(&row)).transpose()?;
        let pool = home.pool.as_str();
        match (wanted, management.user(pool, user.as_str()).await?) {
            (None, None) => Ok(()),
            (None, Some(_)) => Ok(management.delete_user(pool, user.as_str()).await?),
            (Some(wanted), _) if wanted.identifiers().is_empty() => Err(BringError::Unfit),
            (Some(wanted), None) => self.make_user(management, (biller, home), &wanted).await,
            (Some(wanted), Some(there)) => mend(management, pool, &wanted, there).await,
        }
    }

    /// Makes a user who is not there: with the password that comes along by the import, which takes hashes.
    async fn make_user(
        &self,
        management: &Management,
        (biller, home): (&Biller, &Home),
        wanted: &Mover,
    ) -> Result<(), BringError> {
        let (pool, passwords) = (home.pool.as_str(), biller.settings.passwords);
        let made = if self.credential(passwords, wanted).is_some() {
            let place = (management.tenant(), pool);
            management.import(&self.dump(passwords, place, std::slice::from_ref(wanted))).await
        } else {
            management.create_user(pool, &new_user(wanted)).await
        };
        match made {
            Err(error) if error.is(409) => {
                Err(owner(management, pool, wanted).await?.map_or(error.into(), BringError::Taken))
            }
            made => Ok(made?),
        }
    }
}

/// A user as the vendor takes a new one.
fn new_user(wanted: &Mover) -> Value {
    let identifier = |(kind, value)| json!({ "type": kind, "identifier": value });
    let address = |address| json!({ "type": "email", "address": address, "status": "active", "verified": true });
    json!({
        "id": wanted.id, "status": wanted.pool_status(),
        "payload": { "given_name": wanted.first_name, "family_name": wanted.last_name },
        "metadata": wanted.attributes,
        "identifiers": wanted.identifiers().into_iter().map(identifier).collect::<Value>(),
        "verifiable_addresses": mail(wanted).map(address).collect::<Value>(),
    })
}

/// Whose one of the identifiers is there, if it is somebody else's.
async fn owner(management: &Management, pool: &str, wanted: &Mover) -> Result<Option<String>, CallError> {
    for (_, value) in wanted.identifiers() {
        let found = management.user_by_identifier(pool, value).await?;
        if let Some(found) = found.filter(|found| found.id != wanted.id) {
            return Ok(Some(found.id));
        }
    }
    Ok(None)
}

fn mail(wanted: &Mover) -> impl Iterator<Item = &str> {
    Some(wanted.email.as_str()).filter(|email| !email.is_empty()).into_iter()
}

/// In what a user there differs from the one here; nothing: they are the same.
pub(super) fn differences(wanted: &Mover, there: &PoolUser) -> Vec<&'static str> {
    let found = [
        ("status", !same_status(wanted, there)),
        ("name", !name_patch(wanted, there).is_empty()),
        ("attributes", !attributes_patch(wanted, there).is_empty()),
        ("username", !identifiers_to_add(wanted, there).is_empty() || !identifiers_to_remove(wanted, there).is_empty()),
        ("address", !same_addresses(wanted, there)),
    ];
    found.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// Somebody `new` has not followed the activation mail yet, and becomes active by it.
fn same_status(wanted: &Mover, there: &PoolUser) -> bool {
    there.status == wanted.pool_status() || (there.status == "new" && wanted.pool_status() == "active")
}

fn name_patch(wanted: &Mover, there: &PoolUser) -> Map<String, Value> {
    let fields = [("given_name", &wanted.first_name), ("family_name", &wanted.last_name)];
    let differs =
        |name: &str, value: &str| there.payload.get(name).and_then(Value::as_str).unwrap_or_default() != value;
    fields
        .into_iter()
        .filter(|(name, value)| differs(name, value))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

/// Attributes of ours only: what others have put there stays.
fn attributes_patch(wanted: &Mover, there: &PoolUser) -> Map<String, Value> {
    let ours = wanted.attributes.as_object().into_iter().flatten();
    ours.filter(|(name, value)| there.metadata.get(*name) != Some(value)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn identifiers_to_add<'w>(wanted: &'w Mover, there: &PoolUser) -> Vec<(&'static str, &'w str)> {
    let has = |value: &str| there.identifiers.iter().any(|entry| same_text(&entry.value, value));
    wanted.identifiers().into_iter().filter(|(_, value)| !has(value)).collect()
}

/// Usernames and mail addresses are ours; other kinds are not.
fn identifiers_to_remove<'t>(wanted: &Mover, there: &'t PoolUser) -> Vec<&'t str> {
    let ours = there.identifiers.iter().filter(|entry| matches!(entry.kind.as_str(), "uid" | "email"));
    let wants = |value: &str| wanted.identifiers().iter().any(|(_, ours)| same_text(ours, value));
    ours.map(|entry| entry.value.as_str()).filter(|value| !wants(value)).collect()
}

fn same_addresses(wanted: &Mover, there: &PoolUser) -> bool {
    let is_verified = |email: &str| there.addresses.iter().any(|one| one.verified && same_text(&one.address, email));
    mail(wanted).all(is_verified) && stale_addresses(wanted, there).is_empty()
}

/// Mail addresses that are no longer the user's: a reset mail must not go there.
fn stale_addresses<'t>(wanted: &Mover, there: &'t PoolUser) -> Vec<&'t str> {
    let mails = there.addresses.iter().map(|entry| entry.address.as_str()).filter(|address| address.contains('@'));
    mails.filter(|address| !same_text(address, &wanted.email)).collect()
}

fn same_text(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Changes what differs. The status comes first: whoever is switched off is so at once.
async fn mend(management: &Management, pool: &str, wanted: &Mover, there: PoolUser) -> Result<(), BringError> {
    let mut there = there;
    if !same_status(wanted, &there) {
        there = management.set_status(pool, &there, wanted.pool_status()).await?;
    }
    let (name, attributes) = (name_patch(wanted, &there), attributes_patch(wanted, &there));
    let parts = [("payload", name), ("metadata", attributes)];
    let patch: Map<String, Value> = parts
        .into_iter()
        .filter(|(_, part)| !part.is_empty())
        .map(|(field, part)| (field.to_owned(), Value::Object(part)))
        .collect();
    if !patch.is_empty() {
        there = management.patch_user(pool, &there, &Value::Object(patch)).await?;
    }
    let id = wanted.id.as_str();
    let mut taken = None;
    for identifier in identifiers_to_add(wanted, &there) {
        match management.add_identifier(pool, id, identifier).await {
            // The others go on: two users may be about to swap their names.
            Err(error) if error.is(409) => taken = Some(error),
            added => added?,
        }
    }
    for value in identifiers_to_remove(wanted, &there) {
        management.remove_identifier(pool, id, value).await?;
    }
    for address in stale_addresses(wanted, &there) {
        management.remove_address(pool, id, address).await?;
    }
    for email in mail(wanted) {
        match there.addresses.iter().find(|entry| same_text(&entry.address, email)) {
            None => management.add_address(pool, id, email).await?,
            Some(entry) if !entry.verified => management.verify_address(pool, id, &entry.address).await?,
            Some(_) => {}
        }
    }
    match taken {
        None => Ok(()),
        Some(error) => Err(owner(management, pool, wanted).await?.map_or(error.into(), BringError::Taken)),
    }
}
