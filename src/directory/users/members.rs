//! Changes of users and memberships by the identity API. Its writers run one after another, so that a check still holds when the
//! change is written. After an error the caller drops the transaction.

use std::collections::{HashMap, HashSet};

use super::user::UserStatus;
use super::writes::{NewUser, UserUpdate, UserWriteError, WriteContext};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::{DbError, Row, Sql, Tx};
use crate::directory::{Biller, Directory};
use crate::{sql, values};
use signpost_core::decision::CiamState;
use signpost_core::{BillerId, UserId};

const LOCK_IDENTITY: Sql = sql!("UPDATE revision SET value = value + 1 WHERE name = 'identity'");
/// Whether another user of one of this user's billers has the same email address. Joined from the billers, because the index
/// begins with the biller.
const EMAIL_TAKEN: Sql = sql!(
    "SELECT 1 AS taken FROM users me JOIN users u ON u.email_key = me.email_key AND u.email_key <> '' AND u.id <> me.id \
     JOIN biller b ON u.status <> 'deleted' CROSS JOIN membership mine CROSS JOIN membership theirs \
     WHERE me.id = $1 AND mine.biller_id = b.id AND mine.user_id = me.id \
     AND theirs.biller_id = b.id AND theirs.user_id = u.id LIMIT 1"
);
/// The same for one biller.
const EMAIL_TAKEN_AT: Sql = sql!(
    "SELECT 1 AS taken FROM users me JOIN users u ON u.email_key = me.email_key AND u.email_key <> '' AND u.id <> me.id \
     JOIN biller b ON u.status <> 'deleted' AND b.id = $2 \
     JOIN membership theirs ON theirs.biller_id = b.id AND theirs.user_id = u.id WHERE me.id = $1 LIMIT 1"
);
const STATUS: Sql = sql!("SELECT status, email_key FROM users WHERE id = $1");
/// A membership has its user's name: the primary key finds it by that.
const BILLERS_OF: Sql = sql!(
    "SELECT m.biller_id AS id FROM users u JOIN membership m ON m.username_key = u.username_key AND m.user_id = u.id WHERE u.id = $1"
);
const EXISTING_USERS: Sql = sql!("SELECT id, status FROM users WHERE status <> $1 AND id IN {keys}");
const MEMBERS_AMONG: Sql = sql!("SELECT user_id FROM membership WHERE biller_id = $1 AND user_id IN {keys}");
const MEMBERS: Sql = sql!(
    "SELECT m.user_id FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted'"
);

/// The billers whose users the caller may read and change; `None` for all.
pub type BillerScope<'r> = Option<&'r [BillerId]>;

/// How a list of users changes the members of a biller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    /// The list replaces the members.
    Set,
    Add,
    Remove,
}

impl MembershipChange {
    fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

/// How many members a change added and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub added: u64,
    pub removed: u64,
}

/// Why nothing was changed. A number is the position of the user in the list, or 0 for a single user.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Unknown, or outside the scope.
    #[error("there is no such user")]
    UserNotFound(usize),
    /// The user also belongs to a biller outside the scope.
    #[error("the user also belongs to a biller outside the scope")]
    OutOfScope,
    #[error("the user is deleted")]
    Deleted(usize),
    #[error("the username is taken")]
    UsernameTaken(usize),
    #[error("the email address is taken")]
    EmailTaken(usize),
    #[error("invalid username: {0}")]
    InvalidUsername(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl IdentityError {
    fn of(error: UserWriteError, index: usize) -> Self {
        match error {
            UserWriteError::UserNotFound => Self::UserNotFound(index),
            UserWriteError::InvalidUsername(why) => Self::InvalidUsername(why),
            UserWriteError::UsernameTaken => Self::UsernameTaken(index),
            UserWriteError::Db(error) => Self::Db(error),
        }
    }
}

impl Directory {
    /// Creates a user with memberships of these billers.
    pub async fn create_user_in(
        &self,
        tx: &mut Tx,
        new: &NewUser,
        billers: &[&Biller],
        actor: &ActorContext,
    ) -> Result<UserId, IdentityError> {
        let context = WriteContext::of(actor);
        tx.run(LOCK_IDENTITY, values![]).await?;
        let of = |error| IdentityError::of(error, 0);
        let id = self.insert_user_in(tx, new, context).await.map_err(of)?;
        for biller in billers {
            self.add_member_in(tx, (&biller.id, &id), has_legacy_account(biller), context).await.map_err(of)?;
        }
        check_email(tx, &id).await?;
        let slugs: Vec<&str> = billers.iter().map(|biller| biller.slug.as_str()).collect();
        actor
            .record(
                tx,
                tag_single_biller(
                    AuditEvent::new(Action::UserCreated).about(id.as_str()).with("billers", slugs),
                    billers,
                ),
            )
            .await?;
        Ok(id)
    }

    /// Deleting a deleted user does nothing.
    pub async fn update_user_in(
        &self,
        tx: &mut Tx,
        user: &UserId,
        change: &UserUpdate,
        scope: BillerScope<'_>,
        actor: &ActorContext,
    ) -> Result<(), IdentityError> {
        let context = WriteContext::of(actor);
        tx.run(LOCK_IDENTITY, values![]).await?;
        // Both statements run for an unknown user too, which so takes as long as a user out of scope.
        let row = tx.one(STATUS, values![user.as_str()]).await?;
        let rows = tx.all(BILLERS_OF, values![user.as_str()]).await?;
        let row = row.ok_or(IdentityError::UserNotFound(0))?;
        let theirs = rows.iter().map(|row| row.text("id")).collect::<Result<Vec<_>, DbError>>()?;
        if let Some(scope) = scope {
            let own = theirs.iter().filter(|id| scope.iter().any(|own| own.as_str() == id.as_str())).count();
            match own {
                0 => return Err(IdentityError::UserNotFound(0)),
                own if own < theirs.len() => return Err(IdentityError::OutOfScope),
                _ => {}
            }
        }
        let status = UserStatus::parse(&row.text("status")?);
        if status == Some(UserStatus::Deleted) {
            let again = change.status == Some(UserStatus::Deleted);
            return if again { Ok(()) } else { Err(IdentityError::Deleted(0)) };
        }
        let mut change = change.clone();
        change.status = change.status.filter(|requested| Some(*requested) != status);
        self.write_user_update_in(tx, user, &change, context).await.map_err(|error| IdentityError::of(error, 0))?;
        // An unchanged address may be a duplicate from an import: keep it.
        let before = row.text("email_key")?;
        if change.email.as_ref().is_some_and(|email| email.to_lowercase() != before) {
            check_email(tx, user).await?;
        }
        let mut event = AuditEvent::new(Action::UserUpdated).about(user.as_str()).with("fields", change.fields());
        if let Some(status) = change.status {
            event = event.with("status", status.as_str());
        }
        let billers = self.last_known_billers();
        let known = theirs.into_iter().filter_map(|id| billers.by_id(&BillerId::from_stored(id)));
        let known: Vec<&Biller> = known.map(|biller| &**biller).collect();
        Ok(actor.record(tx, tag_single_biller(event, &known)).await?)
    }

    pub async fn update_members_in(
        &self,
        tx: &mut Tx,
        biller: &Biller,
        (change, list): (MembershipChange, &[UserId]),
        scope: BillerScope<'_>,
        actor: &ActorContext,
    ) -> Result<Tally, IdentityError> {
        tx.run(LOCK_IDENTITY, values![]).await?;
        let tally = self.apply_member_list(tx, biller, (change, list), scope, WriteContext::of(actor)).await?;
        let event = AuditEvent::new(Action::MembersUpdated).at(&biller.slug).with("change", change.as_str());
        actor.record(tx, event.with("added", tally.added).with("removed", tally.removed)).await?;
        Ok(tally)
    }

    async fn apply_member_list(
        &self,
        tx: &mut Tx,
        biller: &Biller,
        (change, list): (MembershipChange, &[UserId]),
        scope: BillerScope<'_>,
        context: WriteContext<'_>,
    ) -> Result<Tally, IdentityError> {
        check_list(tx, change, list, scope).await?;
        let mut tally = Tally::default();
        if change == MembershipChange::Remove {
            for user in list {
                tally.removed += u64::from(self.remove(tx, biller, user, context).await?);
            }
            return Ok(tally);
        }
        let mut members = HashSet::new();
        if change == MembershipChange::Set {
            let requested: HashSet<&str> = list.iter().map(UserId::as_str).collect();
            members = user_ids(&tx.all(MEMBERS, values![biller.id.as_str()]).await?)?;
            for member in members.iter().filter(|member| !requested.contains(member.as_str())) {
                let member = UserId::from_stored(member.clone());
                tally.removed += u64::from(self.remove(tx, biller, &member, context).await?);
            }
        }
        for (index, user) in list.iter().enumerate().filter(|(_, user)| !members.contains(user.as_str())) {
            let added = self.add_member_in(tx, (&biller.id, user), has_legacy_account(biller), context).await;
            let added = added.map_err(|error| IdentityError::of(error, index))?;
            if added && tx.one(EMAIL_TAKEN_AT, values![user.as_str(), biller.id.as_str()]).await?.is_some() {
                return Err(IdentityError::EmailTaken(index));
            }
            tally.added += u64::from(added);
        }
        Ok(tally)
    }

    async fn remove(
        &self,
        tx: &mut Tx,
        biller: &Biller,
        user: &UserId,
        context: WriteContext<'_>,
    ) -> Result<bool, IdentityError> {
        self.remove_member_in(tx, (&biller.id, user), context).await.map_err(|error| IdentityError::of(error, 0))
    }
}

/// Files an event about a user of a single biller under that biller.
fn tag_single_biller(event: AuditEvent, billers: &[&Biller]) -> AuditEvent {
    match billers {
        [only] => event.at(&only.slug),
        _ => event,
    }
}

/// Users created after a biller's migration have no account at the legacy portal.
fn has_legacy_account(biller: &Biller) -> bool {
    biller.state != CiamState::Active
}

async fn check_email(tx: &mut Tx, user: &UserId) -> Result<(), IdentityError> {
    let taken = tx.one(EMAIL_TAKEN, values![user.as_str()]).await?.is_some();
    if taken { Err(IdentityError::EmailTaken(0)) } else { Ok(()) }
}

/// Every user of the list must exist and be in scope, and must not be deleted unless the change removes members.
async fn check_list(
    tx: &mut Tx,
    change: MembershipChange,
    list: &[UserId],
    scope: BillerScope<'_>,
) -> Result<(), IdentityError> {
    let requested: Vec<&str> = list.iter().map(UserId::as_str).collect();
    let rows = tx.all_in(EXISTING_USERS, "".into(), &requested).await?;
    let known = rows
        .iter()
        .map(|row| Ok((row.text("id")?, row.text("status")?)))
        .collect::<Result<HashMap<_, _>, DbError>>()?;
    let mut seen = HashSet::new();
    for biller in scope.unwrap_or_default() {
        seen.extend(user_ids(&tx.all_in(MEMBERS_AMONG, biller.as_str().into(), &requested).await?)?);
    }
    for (index, user) in requested.iter().enumerate() {
        match known.get(*user) {
            Some(_) if scope.is_some() && !seen.contains(*user) => return Err(IdentityError::UserNotFound(index)),
            Some(status) if change != MembershipChange::Remove && status == UserStatus::Deleted.as_str() => {
                return Err(IdentityError::Deleted(index));
            }
            Some(_) => {}
            None => return Err(IdentityError::UserNotFound(index)),
        }
    }
    Ok(())
}

fn user_ids(rows: &[Row]) -> Result<HashSet<String>, DbError> {
    rows.iter().map(|row| row.text("user_id")).collect()
}
