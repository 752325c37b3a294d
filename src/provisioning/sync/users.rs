//! A biller's users in the directory, and their form in SecureAuth's import.

use serde_json::{Value, json};

use crate::db::{Db, DbError, Row, Sql};
use crate::directory::PasswordCarryOver;
use crate::provisioning::jobs::StopReason;
use crate::provisioning::{Provisioning, ProvisioningError};
use crate::secureauth::management::{
    Dump, DumpAddress, DumpCredential, DumpIdentifier, DumpNames, DumpUser, Empty, Entry,
};
use crate::{sql, values};
use signpost_core::{BillerId, Purpose, Timestamp};

const COUNT: Sql = sql!(
    "SELECT count(*) AS total FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted'"
);
const PAGE: Sql = sql!(
    "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     p.sealed FROM membership m JOIN users u ON u.id = m.user_id LEFT JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND m.user_id > $2 AND u.status <> 'deleted' ORDER BY m.user_id LIMIT $3"
);
const CHANGED: Sql = sql!(
    "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     p.sealed FROM membership m JOIN users u ON u.id = m.user_id LEFT JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND m.user_id > $2 AND u.status <> 'deleted' AND (u.updated_at >= $4 OR m.created_at >= $4) \
     ORDER BY m.user_id LIMIT $3"
);
const WITH_PASSWORD: Sql = sql!(
    "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, \
     u.created_at, p.sealed FROM membership m JOIN users u ON u.id = m.user_id JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted' ORDER BY m.user_id LIMIT 1"
);
const REMOVED: Sql = sql!(
    "SELECT c.user_id FROM user_change c WHERE c.biller_id = $1 AND NOT EXISTS (SELECT 1 FROM membership m \
     JOIN users u ON u.id = m.user_id WHERE m.biller_id = c.biller_id AND m.user_id = c.user_id AND u.status <> 'deleted')"
);
/// Users in one read of [`check_usernames`].
const CHECK_PAGE_SIZE: i64 = 5000;
const MAX_EXAMPLES: usize = 10;

/// A user of the directory.
#[derive(Clone)]
pub(in crate::provisioning) struct DirectoryUser {
    pub id: String,
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub status: String,
    pub attributes: Value,
    created_at: Timestamp,
    pub sealed: Option<String>,
}

impl DirectoryUser {
    /// The status at SecureAuth. A user who is not active in the directory must not be active there.
    pub(in crate::provisioning) fn pool_status(&self) -> &'static str {
        if self.status == "active" || self.status == "created" { "active" } else { "inactive" }
    }

    /// The identifiers at SecureAuth. A username that is not a valid `uid` is left out; the user signs in by mail address.
    pub(in crate::provisioning) fn identifiers(&self) -> Vec<(&'static str, &str)> {
        let plain = is_uid(&self.username);
        let uid = plain.then_some(("uid", self.username.as_str()));
        let same = self.email.eq_ignore_ascii_case(&self.username);
        let email = (!(self.email.is_empty() || plain && same)).then_some(("email", self.email.as_str()));
        uid.into_iter().chain(email).collect()
    }

    fn entry(&self) -> DumpUser<'_> {
        let payload = DumpNames { given_name: &self.first_name, family_name: &self.last_name };
        DumpUser { status: self.pool_status(), payload, metadata: &self.attributes }
    }

    fn address(&self) -> DumpAddress<'_> {
        DumpAddress {
            user_id: &self.id,
            kind: "email",
            status: "active",
            verified: true,
            address: &self.email,
            address_lc: self.email.to_lowercase(),
            metadata: Empty {},
        }
    }
}

/// The password hash of a user that cannot be imported. The user must not be created without it.
#[derive(Debug, thiserror::Error)]
#[error(
    "no key of the key ring opens the password hash of the user {0}: put the removed key back, import the user with a hash \
     again, or set the biller's passwords to reset_required"
)]
pub struct UnreadableHash(String);

impl From<UnreadableHash> for StopReason {
    fn from(error: UnreadableHash) -> Self {
        Self::Failed(error.to_string())
    }
}

/// SecureAuth accepts printable ASCII without spaces as a `uid`.
pub(in crate::provisioning) fn is_uid(username: &str) -> bool {
    !username.is_empty() && username.bytes().all(|b| (0x21..0x7f).contains(&b))
}

pub(in crate::provisioning) async fn count(db: &Db, biller: &BillerId) -> Result<i64, DbError> {
    db.one(COUNT, values![biller.as_str()]).await?.map_or(Ok(0), |row| row.int("total"))
}

pub(in crate::provisioning) async fn page(
    db: &Db,
    biller: &BillerId,
    after: &str,
    limit: i64,
) -> Result<Vec<DirectoryUser>, DbError> {
    db.all(PAGE, values![biller.as_str(), after, limit]).await?.iter().map(from_row).collect()
}

/// A page of the users who were created or changed since a time.
pub(in crate::provisioning) async fn changed(
    db: &Db,
    biller: &BillerId,
    after: &str,
    limit: i64,
    since: Timestamp,
) -> Result<Vec<DirectoryUser>, DbError> {
    db.all(CHANGED, values![biller.as_str(), after, limit, since]).await?.iter().map(from_row).collect()
}

/// The first user with a password hash.
pub(in crate::provisioning) async fn with_password(
    db: &Db,
    biller: &BillerId,
) -> Result<Option<DirectoryUser>, DbError> {
    db.one(WITH_PASSWORD, values![biller.as_str()]).await?.map(|row| from_row(&row)).transpose()
}

/// Users who were removed while the biller is being enabled.
pub(in crate::provisioning) async fn removed(db: &Db, biller: &BillerId) -> Result<Vec<String>, DbError> {
    db.all(REMOVED, values![biller.as_str()]).await?.iter().map(|row| row.text("user_id")).collect()
}

/// Fails if a user has no identifier that SecureAuth accepts.
pub(in crate::provisioning) async fn check_usernames(db: &Db, biller: &BillerId) -> Result<(), ProvisioningError> {
    let (mut after, mut count, mut examples) = (String::new(), 0, Vec::new());
    loop {
        let page = page(db, biller, &after, CHECK_PAGE_SIZE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.id);
        for user in page.iter().filter(|user| user.identifiers().is_empty()) {
            count += 1;
            if examples.len() < MAX_EXAMPLES {
                examples.push(user.username.clone());
            }
        }
    }
    if count > 0 { Err(ProvisioningError::UnsupportedUsernames { count, examples }) } else { Ok(()) }
}

impl Provisioning {
    /// Users in the form of SecureAuth's import. Every id is derived from the user's and the pool's, so that a repeated import
    /// changes nothing.
    pub(in crate::provisioning) fn dump<'u>(
        &self,
        passwords: PasswordCarryOver,
        (tenant, pool): (&'u str, &'u str),
        users: &'u [DirectoryUser],
    ) -> Result<Dump<'u>, UnreadableHash> {
        let mut dump = Dump::default();
        for user in users {
            let (id, created_at) = (user.id.as_str(), user.created_at.to_string());
            dump.users.push(entry((tenant, pool), &created_at, id.to_owned(), user.entry()));
            for (kind, value) in user.identifiers() {
                let (identifier_lc, metadata) = (value.to_lowercase(), Empty {});
                let fields = DumpIdentifier { user_id: id, kind, identifier: value, identifier_lc, metadata };
                dump.user_identifiers.push(entry((tenant, pool), &created_at, format!("{id}-{kind}"), fields));
            }
            if !user.email.is_empty() {
                let fields = user.address();
                dump.user_verifiable_addresses.push(entry(
                    (tenant, pool),
                    &created_at,
                    format!("{id}-address"),
                    fields,
                ));
            }
            if let Some(payload) = self.credential(passwords, user)? {
                let fields = DumpCredential { user_id: id, kind: "password", state: "valid", payload };
                dump.user_credentials.push(entry((tenant, pool), &created_at, format!("{id}-password"), fields));
            }
        }
        Ok(dump)
    }

    /// The password hash in SecureAuth's form, if it is migrated.
    pub(in crate::provisioning) fn credential(
        &self,
        passwords: PasswordCarryOver,
        user: &DirectoryUser,
    ) -> Result<Option<Value>, UnreadableHash> {
        let (PasswordCarryOver::Imported, Some(sealed)) = (passwords, &user.sealed) else { return Ok(None) };
        let unreadable = || UnreadableHash(user.id.clone());
        let hash: String = self.keys.open(Purpose::Storage, &user.id, sealed).map_err(|_| unreadable())?;
        let method = match hash.split('$').nth(1).unwrap_or_default() {
            "2a" | "2b" | "2y" => "bcrypt",
            kind if kind.starts_with("argon2") => "argon2",
            kind if kind.starts_with("pbkdf2") => "pbkdf2",
            _ => return Err(unreadable()),
        };
        Ok(Some(json!({ "hashed_password": { "value": hash, "config": { "method": method } } })))
    }
}

fn entry<'u, T>(
    (tenant_id, user_pool_id): (&'u str, &'u str),
    created_at: &str,
    id: String,
    fields: T,
) -> Entry<'u, T> {
    Entry { id, tenant_id, user_pool_id, created_at: created_at.to_owned(), updated_at: created_at.to_owned(), fields }
}

pub(in crate::provisioning) fn from_row(row: &Row) -> Result<DirectoryUser, DbError> {
    Ok(DirectoryUser {
        id: row.text("id")?,
        username: row.text("username")?,
        email: row.text("email")?,
        first_name: row.text("first_name")?,
        last_name: row.text("last_name")?,
        status: row.text("status")?,
        attributes: row.json("attributes")?,
        created_at: row.time("created_at")?,
        sealed: row.opt_text("sealed")?,
    })
}
