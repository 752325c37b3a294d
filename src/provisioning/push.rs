//! Bringing one user of a pool to the directory's present state: made, changed, switched off, or deleted.
//!
//! What is there is read first, and changed only if nobody has changed it since. Where the vendor's users have more than ours
//! (attributes of others, telephone numbers), that stays; usernames and mail addresses are the directory's.

use serde_json::{Map, Value, json};

use super::users::{self, DirectoryUser};
use super::{Provisioning, ProvisioningError, ledger};
use crate::db::DbError;
use crate::directory::{Biller, UserPoolRef};
use crate::secureauth::management::{CallError, Management, PoolUser};
use crate::values;
use signpost_core::{BillerId, UserId};

const MEMBER: &str = "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     p.sealed FROM membership m JOIN users u ON u.id = m.user_id LEFT JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND m.user_id = $2 AND u.status <> 'deleted'";
/// How often a change is begun again because somebody else has changed the user meanwhile.
const MAX_CONFLICT_RETRIES: u32 = 3;

/// Why a user was not brought to the present state.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The username does not fit there, and there is no mail address.
    #[error("the username is not printable ASCII without spaces, and there is no mail address")]
    UnsupportedUsername,
    /// Somebody else of the pool has a username or mail address.
    #[error("a username or mail address belongs to {0} there")]
    IdentifierTaken(String),
    /// SecureAuth.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Provisioning {
    /// Where a biller's users are kept, if a job of ours moved them.
    pub(super) async fn user_pool(&self, biller: &BillerId) -> Result<Option<UserPoolRef>, DbError> {
        ledger::user_pool_of(&self.db, biller).await
    }

    /// The management API and where a biller's users are.
    pub(super) async fn require_user_pool(
        &self,
        biller: &Biller,
    ) -> Result<(&Management, UserPoolRef), ProvisioningError> {
        let management = self.management.as_ref().ok_or(ProvisioningError::NotConfigured)?;
        let user_pool = self.user_pool(&biller.id).await?;
        Ok((management, user_pool.ok_or_else(|| ProvisioningError::NotProvisioned(biller.slug.clone()))?))
    }

    /// Brings a user there to the present state here; safe to repeat.
    pub(super) async fn push_user(
        &self,
        management: &Management,
        (biller, user_pool): (&Biller, &UserPoolRef),
        user: &UserId,
    ) -> Result<(), PushError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.push_user_once(management, (biller, user_pool), user).await {
                Err(PushError::Call(error)) if error.is(412) && attempts < MAX_CONFLICT_RETRIES => {}
                done => return done,
            }
        }
    }

    async fn push_user_once(
        &self,
        management: &Management,
        (biller, user_pool): (&Biller, &UserPoolRef),
        user: &UserId,
    ) -> Result<(), PushError> {
        let row = self.db.one(MEMBER, values![biller.id.as_str(), user.as_str()]).await?;
        let desired = row.map(|row| users::from_row(&row)).transpose()?;
        let pool = user_pool.pool.as_str();
        match (desired, management.user(pool, user.as_str()).await?) {
            (None, None) => Ok(()),
            (None, Some(_)) => Ok(management.delete_user(pool, user.as_str()).await?),
            (Some(desired), _) if desired.identifiers().is_empty() => Err(PushError::UnsupportedUsername),
            (Some(desired), None) => self.create_pool_user(management, (biller, user_pool), &desired).await,
            (Some(desired), Some(actual)) => update_pool_user(management, pool, &desired, actual).await,
        }
    }

    /// Makes a user who is not there: with the password that comes along by the import, which takes hashes.
    async fn create_pool_user(
        &self,
        management: &Management,
        (biller, user_pool): (&Biller, &UserPoolRef),
        desired: &DirectoryUser,
    ) -> Result<(), PushError> {
        let (pool, passwords) = (user_pool.pool.as_str(), biller.settings.passwords);
        let result = if self.credential(passwords, desired).is_some() {
            let tenant_pool = (management.tenant(), pool);
            management.import_users(&self.dump(passwords, tenant_pool, std::slice::from_ref(desired))).await
        } else {
            management.create_user(pool, &new_pool_user(desired)).await
        };
        match result {
            Err(error) if error.is(409) => Err(find_conflicting_user(management, pool, desired)
                .await?
                .map_or(error.into(), PushError::IdentifierTaken)),
            other => Ok(other?),
        }
    }
}

/// A user as the vendor takes a new one.
fn new_pool_user(desired: &DirectoryUser) -> Value {
    let identifier = |(kind, value)| json!({ "type": kind, "identifier": value });
    let address = |address| json!({ "type": "email", "address": address, "status": "active", "verified": true });
    json!({
        "id": desired.id, "status": desired.pool_status(),
        "payload": { "given_name": desired.first_name, "family_name": desired.last_name },
        "metadata": desired.attributes,
        "identifiers": desired.identifiers().into_iter().map(identifier).collect::<Value>(),
        "verifiable_addresses": emails(desired).map(address).collect::<Value>(),
    })
}

/// Whose one of the identifiers is there, if it is somebody else's.
async fn find_conflicting_user(
    management: &Management,
    pool: &str,
    desired: &DirectoryUser,
) -> Result<Option<String>, CallError> {
    for (_, value) in desired.identifiers() {
        let found = management.user_by_identifier(pool, value).await?;
        if let Some(found) = found.filter(|found| found.id != desired.id) {
            return Ok(Some(found.id));
        }
    }
    Ok(None)
}

fn emails(desired: &DirectoryUser) -> impl Iterator<Item = &str> {
    Some(desired.email.as_str()).filter(|email| !email.is_empty()).into_iter()
}

/// In what a user there differs from the one here; nothing: they are the same.
pub(super) fn differences(desired: &DirectoryUser, actual: &PoolUser) -> Vec<&'static str> {
    let checks = [
        ("status", !has_same_status(desired, actual)),
        ("name", !name_patch(desired, actual).is_empty()),
        ("attributes", !attributes_patch(desired, actual).is_empty()),
        (
            "username",
            !identifiers_to_add(desired, actual).is_empty() || !identifiers_to_remove(desired, actual).is_empty(),
        ),
        ("address", !has_same_addresses(desired, actual)),
    ];
    checks.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// Somebody `new` has not followed the activation mail yet, and becomes active by it.
fn has_same_status(desired: &DirectoryUser, actual: &PoolUser) -> bool {
    actual.status == desired.pool_status() || (actual.status == "new" && desired.pool_status() == "active")
}

fn name_patch(desired: &DirectoryUser, actual: &PoolUser) -> Map<String, Value> {
    let fields = [("given_name", &desired.first_name), ("family_name", &desired.last_name)];
    let differs =
        |name: &str, value: &str| actual.payload.get(name).and_then(Value::as_str).unwrap_or_default() != value;
    fields
        .into_iter()
        .filter(|(name, value)| differs(name, value))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

/// Attributes of ours only: what others have put there stays.
fn attributes_patch(desired: &DirectoryUser, actual: &PoolUser) -> Map<String, Value> {
    let ours = desired.attributes.as_object().into_iter().flatten();
    ours.filter(|(name, value)| actual.metadata.get(*name) != Some(value))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

fn identifiers_to_add<'d>(desired: &'d DirectoryUser, actual: &PoolUser) -> Vec<(&'static str, &'d str)> {
    let has = |value: &str| actual.identifiers.iter().any(|entry| eq_ignore_case(&entry.value, value));
    desired.identifiers().into_iter().filter(|(_, value)| !has(value)).collect()
}

/// Usernames and mail addresses are ours; other kinds are not.
fn identifiers_to_remove<'a>(desired: &DirectoryUser, actual: &'a PoolUser) -> Vec<&'a str> {
    let ours = actual.identifiers.iter().filter(|entry| matches!(entry.kind.as_str(), "uid" | "email"));
    let is_desired = |value: &str| desired.identifiers().iter().any(|(_, ours)| eq_ignore_case(ours, value));
    ours.map(|entry| entry.value.as_str()).filter(|value| !is_desired(value)).collect()
}

fn has_same_addresses(desired: &DirectoryUser, actual: &PoolUser) -> bool {
    let is_verified =
        |email: &str| actual.addresses.iter().any(|one| one.verified && eq_ignore_case(&one.address, email));
    emails(desired).all(is_verified) && stale_addresses(desired, actual).is_empty()
}

/// Mail addresses that are no longer the user's: a reset mail must not go there.
fn stale_addresses<'a>(desired: &DirectoryUser, actual: &'a PoolUser) -> Vec<&'a str> {
    let mails = actual.addresses.iter().map(|entry| entry.address.as_str()).filter(|address| address.contains('@'));
    mails.filter(|address| !eq_ignore_case(address, &desired.email)).collect()
}

fn eq_ignore_case(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Changes what differs. The status comes first: whoever is switched off is so at once.
async fn update_pool_user(
    management: &Management,
    pool: &str,
    desired: &DirectoryUser,
    actual: PoolUser,
) -> Result<(), PushError> {
    let mut actual = actual;
    if !has_same_status(desired, &actual) {
        actual = management.set_status(pool, &actual, desired.pool_status()).await?;
    }
    let (name, attributes) = (name_patch(desired, &actual), attributes_patch(desired, &actual));
    let parts = [("payload", name), ("metadata", attributes)];
    let patch: Map<String, Value> = parts
        .into_iter()
        .filter(|(_, part)| !part.is_empty())
        .map(|(field, part)| (field.to_owned(), Value::Object(part)))
        .collect();
    if !patch.is_empty() {
        actual = management.patch_user(pool, &actual, &Value::Object(patch)).await?;
    }
    let id = desired.id.as_str();
    let mut taken = None;
    for identifier in identifiers_to_add(desired, &actual) {
        match management.add_identifier(pool, id, identifier).await {
            // The others go on: two users may be about to swap their names.
            Err(error) if error.is(409) => taken = Some(error),
            added => added?,
        }
    }
    for value in identifiers_to_remove(desired, &actual) {
        management.remove_identifier(pool, id, value).await?;
    }
    for address in stale_addresses(desired, &actual) {
        management.remove_address(pool, id, address).await?;
    }
    for email in emails(desired) {
        match actual.addresses.iter().find(|entry| eq_ignore_case(&entry.address, email)) {
            None => management.add_address(pool, id, email).await?,
            Some(entry) if !entry.verified => management.verify_address(pool, id, &entry.address).await?,
            Some(_) => {}
        }
    }
    match taken {
        None => Ok(()),
        Some(error) => Err(find_conflicting_user(management, pool, desired)
            .await?
            .map_or(error.into(), PushError::IdentifierTaken)),
    }
}
