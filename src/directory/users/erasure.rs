//! Erases a user. The row stays without personal data, so that whatever still names the id finds a deleted user, and so that no
//! table is searched for references.

use super::user::UserStatus;
use crate::db::{DbError, Row, Sql, Tx};
use crate::directory::{Directory, DirectoryError, outbox};
use crate::{sql, values};
use signpost_core::{BillerId, Random, Timestamp, UserId};

const ERASE_RECORD: Sql = sql!(
    "UPDATE users SET username = '', username_key = '', email = '', email_key = '', first_name = '', last_name = '', \
     attributes = '{}', status = $3, updated_at = $2, deleted_at = COALESCE(deleted_at, $2) \
     WHERE id = $1 AND username_key <> ''"
);
const DELETE_MEMBERSHIPS: Sql =
    sql!("DELETE FROM membership WHERE user_id = $1 AND biller_id IN (SELECT id FROM biller)");
const DELETE_PASSWORD: Sql = sql!("DELETE FROM user_password WHERE user_id = $1");
const DELETE_PINS: Sql = sql!("DELETE FROM subject_pin WHERE user_id = $1");
/// A problem may quote SecureAuth, and SecureAuth may quote the mail address.
const CLEAR_PROBLEMS: Sql = sql!("UPDATE user_change SET problem = '' WHERE user_id = $1");
/// Joined from the billers, because the index begins with the biller. SQLite keeps the order of a cross join.
const MEMBERSHIPS: Sql = sql!(
    "SELECT m.biller_id, m.legacy_account, m.created_at FROM biller b CROSS JOIN membership m \
     WHERE m.biller_id = b.id AND m.user_id = $1 ORDER BY b.id"
);
const PINS: Sql = sql!(
    "SELECT biller_id, generation, issuer, subject, pinned_at FROM subject_pin WHERE user_id = $1 ORDER BY pinned_at"
);
const PASSWORD: Sql = sql!("SELECT set_at FROM user_password WHERE user_id = $1");
const CHANGES: Sql =
    sql!("SELECT biller_id, queued_at, attempts, problem FROM user_change WHERE user_id = $1 ORDER BY biller_id");
const DUE: Sql = sql!("SELECT id FROM users WHERE deleted_at < $1 AND username_key <> '' ORDER BY deleted_at LIMIT $2");

/// What the directory has about a user besides the record.
#[derive(Clone, Debug, Default)]
pub struct UserTraces {
    pub memberships: Vec<Membership>,
    pub pins: Vec<PinnedSubject>,
    /// When the password hash of a user file was stored, if one is.
    pub password_set_at: Option<Timestamp>,
    pub changes: Vec<QueuedChange>,
}

#[derive(Clone, Debug)]
pub struct Membership {
    pub biller: BillerId,
    pub legacy_account: bool,
    pub created_at: Timestamp,
}

/// The subject by which an issuer knows the user.
#[derive(Clone, Debug)]
pub struct PinnedSubject {
    pub biller: BillerId,
    pub generation: i64,
    pub issuer: String,
    pub subject: String,
    pub pinned_at: Timestamp,
}

/// A change of the user that has not reached SecureAuth.
#[derive(Clone, Debug)]
pub struct QueuedChange {
    pub biller: BillerId,
    pub queued_at: Timestamp,
    pub attempts: i64,
    pub problem: String,
}

impl Directory {
    pub async fn traces_of(&self, user: &UserId) -> Result<UserTraces, DirectoryError> {
        let biller = |row: &Row| row.text("biller_id").map(BillerId::from_stored);
        let memberships = self.db.all(MEMBERSHIPS, values![user.as_str()]).await?;
        let memberships = memberships.iter().map(|row| {
            let (legacy_account, created_at) = (row.flag("legacy_account")?, row.time("created_at")?);
            Ok(Membership { biller: biller(row)?, legacy_account, created_at })
        });
        let pins = self.db.all(PINS, values![user.as_str()]).await?;
        let pins = pins.iter().map(|row| {
            Ok(PinnedSubject {
                biller: biller(row)?,
                generation: row.int("generation")?,
                issuer: row.text("issuer")?,
                subject: row.text("subject")?,
                pinned_at: row.time("pinned_at")?,
            })
        });
        let password = self.db.one(PASSWORD, values![user.as_str()]).await?;
        let changes = self.db.all(CHANGES, values![user.as_str()]).await?;
        let changes = changes.iter().map(|row| {
            Ok(QueuedChange {
                biller: biller(row)?,
                queued_at: row.time("queued_at")?,
                attempts: row.int("attempts")?,
                problem: row.text("problem")?,
            })
        });
        Ok(UserTraces {
            memberships: memberships.collect::<Result<_, DbError>>()?,
            pins: pins.collect::<Result<_, DbError>>()?,
            password_set_at: password.map(|row| row.time("set_at")).transpose()?,
            changes: changes.collect::<Result<_, DbError>>()?,
        })
    }

    /// Erases record, memberships, pinned subjects and password hash, and queues the deletion for SecureAuth. It writes first.
    /// Returns whether there was a record.
    pub async fn erase_user_in(
        &self,
        tx: &mut Tx,
        user: &UserId,
        now: Timestamp,
        random: &Random,
    ) -> Result<bool, DbError> {
        let id = user.as_str();
        let had_record = tx.run(ERASE_RECORD, values![id, now, UserStatus::Deleted.as_str()]).await? > 0;
        // The queue reads the memberships.
        outbox::enqueue_user(tx, user, now, random).await?;
        for statement in [CLEAR_PROBLEMS, DELETE_MEMBERSHIPS, DELETE_PASSWORD, DELETE_PINS] {
            tx.run(statement, values![id]).await?;
        }
        Ok(had_record)
    }

    /// Users who were deleted before a time and are not erased yet, at most `limit`.
    pub async fn users_to_erase(&self, before: Timestamp, limit: i64) -> Result<Vec<UserId>, DirectoryError> {
        let rows = self.db.all(DUE, values![before, limit]).await?;
        rows.iter().map(|row| Ok(UserId::from_stored(row.text("id")?))).collect()
    }
}
