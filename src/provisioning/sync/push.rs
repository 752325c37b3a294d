//! Pushes one user's current state to the biller's pool: the user is created, updated, deactivated or deleted.
//!
//! The pool's user is read first, and updated only if its version is still the same. Attributes and telephone numbers of other
//! systems stay. Usernames and mail addresses become those of the directory.

use serde_json::{Map, Value, json};

use super::differences::{
    attributes_patch, emails, eq_ignore_case, has_same_status, identifiers_to_add, identifiers_to_remove, name_patch,
    stale_addresses,
};
use super::import_method::ImportMethod;
use super::users::{self, DirectoryUser, UnreadableHash};
use crate::db::{DbError, Sql};
use crate::directory::{Biller, PasswordCarryOver, UserPoolRef};
use crate::provisioning::Provisioning;
use crate::secureauth::management::{CallError, ImportCall, Management, PoolUser};
use crate::{sql, values};
use signpost_core::{BillerId, UserId};

const MEMBER: Sql = sql!(
    "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     p.sealed FROM membership m JOIN users u ON u.id = m.user_id LEFT JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND m.user_id = $2 AND u.status <> 'deleted'"
);
/// Attempts when another system changes the user meanwhile.
const MAX_CONFLICT_RETRIES: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("the username is not printable ASCII without spaces, and the user has no mail address")]
    UnsupportedUsername,
    /// Another user of the pool has the username or mail address.
    #[error("the username or mail address belongs to the user {0} at SecureAuth")]
    IdentifierTaken(String),
    /// The job of the biller found no import that works, and other calls take no hashes.
    #[error(
        "the user has a password hash, which only an import takes, and SecureAuth accepts no import from Signpost: \
         set the biller's passwords to reset_required, or create the user in SecureAuth's console"
    )]
    HashNeedsImport,
    #[error(transparent)]
    Hash(#[from] UnreadableHash),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Where a user is written, and what goes along.
#[derive(Clone, Copy)]
pub(in crate::provisioning) struct PushTarget<'a> {
    pub biller: &'a BillerId,
    /// The pool's id.
    pub pool: &'a str,
    pub passwords: PasswordCarryOver,
}

impl Provisioning {
    /// Pushes a user's current state. A repetition changes nothing.
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
        let pool = user_pool.pool.as_str();
        let target = PushTarget { biller: &biller.id, pool, passwords: biller.settings.passwords };
        match row.map(|row| users::from_row(&row)).transpose()? {
            Some(desired) => self.write_user(management, target, &desired).await,
            None => Ok(management.delete_user(pool, user.as_str()).await?),
        }
    }

    /// Creates a user in the pool, or updates what differs.
    pub(in crate::provisioning) async fn write_user(
        &self,
        management: &Management,
        target: PushTarget<'_>,
        desired: &DirectoryUser,
    ) -> Result<(), PushError> {
        match management.user(target.pool, &desired.id).await? {
            _ if desired.identifiers().is_empty() => Err(PushError::UnsupportedUsername),
            None => self.create_pool_user(management, target, desired).await,
            Some(actual) => update_pool_user(management, target.pool, desired, actual).await,
        }
    }

    /// Creates the user. A user with a migrated password hash goes through the import, which is the only call that takes hashes.
    async fn create_pool_user(
        &self,
        management: &Management,
        PushTarget { biller, pool, passwords }: PushTarget<'_>,
        desired: &DirectoryUser,
    ) -> Result<(), PushError> {
        let result = if self.credential(passwords, desired)?.is_some() {
            let import = match self.recorded_import_method(biller).await? {
                Some(ImportMethod::Import(import)) => import,
                Some(ImportMethod::SingleUsers) => return Err(PushError::HashNeedsImport),
                // The biller had no users when it was enabled. The user is new, so the mode does not matter.
                None => ImportCall::Put,
            };
            let dump = self.dump(passwords, (management.tenant(), pool), std::slice::from_ref(desired))?;
            management.import_users(import, &dump).await
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

/// Returns the other user of the pool who has one of the identifiers.
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

/// Updates what differs. The status comes first, so that a suspended user is deactivated at once.
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
            // The rest of the update continues: two users may be about to swap their usernames.
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
