//! Changes users and memberships. The same transaction queues the change for SecureAuth and ends the sessions of users who may no
//! longer sign in. After an error the caller drops the transaction.

use serde_json::Value;

use super::user::UserStatus;
use crate::audit::ActorContext;
use crate::db::{DbError, Sql, Tx};
use crate::directory::{Directory, outbox};
use crate::{sessions, sql, values};
use signpost_core::{BillerId, Random, Timestamp, UserId, Username};

const CREATE: Sql = sql!(
    "INSERT INTO users (id, username, username_key, email, email_key, first_name, last_name, status, \
     attributes, created_at, updated_at, deleted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)"
);
/// The first statement of every change of a user: it serialises the writers of that user.
const TOUCH: Sql = sql!("UPDATE users SET updated_at = $2 WHERE id = $1");
const SET_USERNAME: Sql = sql!("UPDATE users SET username = $2, username_key = $3 WHERE id = $1");
const SET_MEMBERSHIP_USERNAME: Sql =
    sql!("UPDATE membership SET username_key = $2 WHERE user_id = $1 AND biller_id IN (SELECT id FROM biller)");
const SET_EMAIL: Sql = sql!("UPDATE users SET email = $2, email_key = $3 WHERE id = $1");
const SET_FIRST_NAME: Sql = sql!("UPDATE users SET first_name = $2 WHERE id = $1");
const SET_LAST_NAME: Sql = sql!("UPDATE users SET last_name = $2 WHERE id = $1");
const SET_STATUS: Sql = sql!("UPDATE users SET status = $2, deleted_at = $3 WHERE id = $1");
const INSERT_MEMBERSHIP: Sql = sql!(
    "INSERT INTO membership (username_key, biller_id, user_id, legacy_account, created_at) \
     SELECT username_key, $2, id, $4, $3 FROM users WHERE id = $1 \
     ON CONFLICT (biller_id, user_id) DO NOTHING"
);
/// A deleted user does not block the username.
const RELEASE_USERNAME: Sql = sql!(
    "DELETE FROM membership WHERE biller_id = $2 AND user_id <> $1 \
     AND username_key = (SELECT username_key FROM users WHERE id = $1) \
     AND EXISTS (SELECT 1 FROM users u WHERE u.id = membership.user_id AND u.status = 'deleted')"
);
const DELETE_MEMBERSHIP: Sql = sql!("DELETE FROM membership WHERE user_id = $1 AND biller_id = $2");

#[derive(Clone, Debug)]
pub struct NewUser {
    pub username: String,
    /// May be empty, as both names.
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub status: UserStatus,
    /// A JSON object.
    pub attributes: Value,
}

/// Fields to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct UserUpdate {
    pub username: Option<String>,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// Any status but `active` ends the user's sessions.
    pub status: Option<UserStatus>,
}

#[derive(Debug, thiserror::Error)]
pub enum UserWriteError {
    #[error("there is no such user")]
    UserNotFound,
    /// With the reason.
    #[error("invalid username: {0}")]
    InvalidUsername(String),
    /// Another member of one of the user's billers has it.
    #[error("the username is taken")]
    UsernameTaken,
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for UserWriteError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict(_) => Self::UsernameTaken,
            error => Self::Db(error),
        }
    }
}

/// What a write needs besides the transaction.
#[derive(Clone, Copy, Debug)]
pub struct WriteContext<'s> {
    pub now: Timestamp,
    pub random: &'s Random,
}

impl<'s> WriteContext<'s> {
    pub fn of(actor: &'s ActorContext) -> Self {
        Self { now: actor.now(), random: actor.random() }
    }
}

impl UserUpdate {
    /// Names of the changed fields, for the audit event.
    pub(super) fn fields(&self) -> Vec<&'static str> {
        let touched = [
            ("username", self.username.is_some()),
            ("email", self.email.is_some()),
            ("name", self.first_name.is_some() || self.last_name.is_some()),
            ("status", self.status.is_some()),
        ];
        touched.into_iter().filter(|(_, touched)| *touched).map(|(field, _)| field).collect()
    }
}

impl Directory {
    /// Creates a user without memberships.
    pub async fn insert_user_in(
        &self,
        tx: &mut Tx,
        new: &NewUser,
        context: WriteContext<'_>,
    ) -> Result<UserId, UserWriteError> {
        let id = UserId::new(context.now, context.random);
        let deleted_at = (new.status == UserStatus::Deleted).then_some(context.now);
        let row = values![
            id.as_str(),
            &new.username,
            key(&new.username)?.as_str(),
            &new.email,
            new.email.to_lowercase(),
            &new.first_name,
            &new.last_name,
            new.status.as_str(),
            new.attributes.to_string(),
            context.now,
            deleted_at
        ];
        tx.run(CREATE, row).await?;
        Ok(id)
    }

    pub async fn write_user_update_in(
        &self,
        tx: &mut Tx,
        user: &UserId,
        change: &UserUpdate,
        context: WriteContext<'_>,
    ) -> Result<(), UserWriteError> {
        let (id, now) = (user.as_str(), context.now);
        if tx.run(TOUCH, values![id, now]).await? == 0 {
            return Err(UserWriteError::UserNotFound);
        }
        if let Some(username) = &change.username {
            let key = key(username)?;
            tx.run(SET_USERNAME, values![id, username, key.as_str()]).await?;
            tx.run(SET_MEMBERSHIP_USERNAME, values![id, key.as_str()]).await?;
        }
        if let Some(email) = &change.email {
            tx.run(SET_EMAIL, values![id, email, email.to_lowercase()]).await?;
        }
        for (statement, value) in [(SET_FIRST_NAME, &change.first_name), (SET_LAST_NAME, &change.last_name)] {
            if let Some(value) = value {
                tx.run(statement, values![id, value]).await?;
            }
        }
        if let Some(status) = change.status {
            let deleted_at = (status == UserStatus::Deleted).then_some(now);
            tx.run(SET_STATUS, values![id, status.as_str(), deleted_at]).await?;
            if status != UserStatus::Active {
                sessions::end_for_user(tx, id, now).await?;
            }
        }
        Ok(outbox::enqueue_user(tx, user, now, context.random).await?)
    }

    /// Returns whether the membership is new.
    pub async fn add_member_in(
        &self,
        tx: &mut Tx,
        (biller, user): (&BillerId, &UserId),
        legacy_account: bool,
        context: WriteContext<'_>,
    ) -> Result<bool, UserWriteError> {
        tx.run(RELEASE_USERNAME, values![user.as_str(), biller.as_str()]).await?;
        let row = values![user.as_str(), biller.as_str(), context.now, legacy_account];
        let added = tx.run(INSERT_MEMBERSHIP, row).await? > 0;
        if added {
            outbox::enqueue_member(tx, (biller.as_str(), user.as_str()), context.now, context.random).await?;
        }
        Ok(added)
    }

    /// Also ends the user's sessions at the biller. Returns whether there was a membership.
    pub async fn remove_member_in(
        &self,
        tx: &mut Tx,
        (biller, user): (&BillerId, &UserId),
        context: WriteContext<'_>,
    ) -> Result<bool, UserWriteError> {
        let removed = tx.run(DELETE_MEMBERSHIP, values![user.as_str(), biller.as_str()]).await? > 0;
        if removed {
            sessions::end_for_member(tx, biller.as_str(), user.as_str(), context.now).await?;
            outbox::enqueue_member(tx, (biller.as_str(), user.as_str()), context.now, context.random).await?;
        }
        Ok(removed)
    }
}

fn key(username: &str) -> Result<Username, UserWriteError> {
    Username::parse(username).map_err(|error| UserWriteError::InvalidUsername(error.to_string()))
}
