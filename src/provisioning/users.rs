//! A biller's users, as SecureAuth's import takes them.

use serde_json::{Value, json};

use super::{Provisioning, ProvisioningError};
use crate::db::{Db, DbError, Row};
use crate::directory::PasswordCarryOver;
use crate::secureauth::management::{
    Dump, DumpAddress, DumpCredential, DumpIdentifier, DumpNames, DumpUser, Empty, Entry,
};
use crate::values;
use signpost_core::{BillerId, Purpose, Timestamp};

const COUNT: &str = "SELECT count(*) FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted'";
const PAGE: &str = "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     p.sealed FROM membership m JOIN users u ON u.id = m.user_id LEFT JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND m.user_id > $2 AND u.status <> 'deleted' ORDER BY m.user_id LIMIT $3";
const CHANGED: &str = "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, u.created_at, \
     p.sealed FROM membership m JOIN users u ON u.id = m.user_id LEFT JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND m.user_id > $2 AND u.status <> 'deleted' AND (u.updated_at >= $4 OR m.created_at >= $4) \
     ORDER BY m.user_id LIMIT $3";
const WITH_PASSWORD: &str = "SELECT u.id, u.username, u.email, u.first_name, u.last_name, u.status, u.attributes, \
     u.created_at, p.sealed FROM membership m JOIN users u ON u.id = m.user_id JOIN user_password p ON p.user_id = u.id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted' ORDER BY m.user_id LIMIT 1";
const REMOVED: &str = "SELECT c.user_id FROM user_change c WHERE c.biller_id = $1 AND NOT EXISTS (SELECT 1 FROM membership m \
     JOIN users u ON u.id = m.user_id WHERE m.biller_id = c.biller_id AND m.user_id = c.user_id AND u.status <> 'deleted')";
/// Users looked at before a job begins, a page.
const CHECK_PAGE_SIZE: i64 = 5000;
const MAX_EXAMPLES: usize = 10;

/// A user to be moved.
pub(super) struct DirectoryUser {
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
    /// Status there: a user who is not active here must not be there either.
    pub(super) fn pool_status(&self) -> &'static str {
        if self.status == "active" || self.status == "created" { "active" } else { "inactive" }
    }

    /// What the user is found by there: printable ASCII without spaces as `uid`, everything else by mail address alone.
    pub(super) fn identifiers(&self) -> Vec<(&'static str, &str)> {
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

/// What SecureAuth takes as an identifier of type `uid`: printable ASCII without spaces.
pub(super) fn is_uid(username: &str) -> bool {
    !username.is_empty() && username.bytes().all(|b| (0x21..0x7f).contains(&b))
}

pub(super) async fn count(db: &Db, biller: &BillerId) -> Result<i64, DbError> {
    db.one(COUNT, values![biller.as_str()]).await?.map_or(Ok(0), |row| row.int(0))
}

/// A page of users after an id.
pub(super) async fn page(db: &Db, biller: &BillerId, after: &str, limit: i64) -> Result<Vec<DirectoryUser>, DbError> {
    db.all(PAGE, values![biller.as_str(), after, limit]).await?.iter().map(from_row).collect()
}

/// The same of users made or changed since a moment.
pub(super) async fn changed(
    db: &Db,
    biller: &BillerId,
    after: &str,
    limit: i64,
    since: Timestamp,
) -> Result<Vec<DirectoryUser>, DbError> {
    db.all(CHANGED, values![biller.as_str(), after, limit, since]).await?.iter().map(from_row).collect()
}

/// The first user with a password hash.
pub(super) async fn with_password(db: &Db, biller: &BillerId) -> Result<Option<DirectoryUser>, DbError> {
    db.one(WITH_PASSWORD, values![biller.as_str()]).await?.map(|row| from_row(&row)).transpose()
}

/// Users who have left since the biller is being moved.
pub(super) async fn removed(db: &Db, biller: &BillerId) -> Result<Vec<String>, DbError> {
    db.all(REMOVED, values![biller.as_str()]).await?.iter().map(|row| row.text(0)).collect()
}

/// Refuses before anything is made when users cannot be taken along.
pub(super) async fn check_usernames(db: &Db, biller: &BillerId) -> Result<(), ProvisioningError> {
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
    /// Users with all that belongs to them. Every id follows from the user's and the pool's: sent again, it is the same.
    pub(super) fn dump<'u>(
        &self,
        passwords: PasswordCarryOver,
        (tenant, pool): (&'u str, &'u str),
        users: &'u [DirectoryUser],
    ) -> Dump<'u> {
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
            if let Some(payload) = self.credential(passwords, user) {
                let fields = DumpCredential { user_id: id, kind: "password", state: "valid", payload };
                dump.user_credentials.push(entry((tenant, pool), &created_at, format!("{id}-password"), fields));
            }
        }
        dump
    }

    /// The password hash that comes along, in the vendor's shape.
    pub(super) fn credential(&self, passwords: PasswordCarryOver, user: &DirectoryUser) -> Option<Value> {
        if passwords != PasswordCarryOver::Imported {
            return None;
        }
        let hash: String = self.keys.open(Purpose::Storage, &user.id, user.sealed.as_ref()?).ok()?;
        let method = match hash.split('$').nth(1)? {
            "2a" | "2b" | "2y" => "bcrypt",
            kind if kind.starts_with("argon2") => "argon2",
            kind if kind.starts_with("pbkdf2") => "pbkdf2",
            _ => return None,
        };
        Some(json!({ "hashed_password": { "value": hash, "config": { "method": method } } }))
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

/// Reads a row of the columns above.
pub(super) fn from_row(row: &Row) -> Result<DirectoryUser, DbError> {
    Ok(DirectoryUser {
        id: row.text(0)?,
        username: row.text(1)?,
        email: row.text(2)?,
        first_name: row.text(3)?,
        last_name: row.text(4)?,
        status: row.text(5)?,
        attributes: serde_json::from_str(&row.text(6)?).unwrap_or_else(|_| json!({})),
        created_at: row.time(7)?,
        sealed: row.opt_text(8)?,
    })
}
