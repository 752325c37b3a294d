//! The audit trail: who did what, when and why. An event is written in the transaction of what it changes, so that there is no
//! change without it; what changes nothing here (a call out, a look-up) is written before it is done.

use serde_json::{Map, Value as Json};

use crate::db::{Db, DbError, Sql, Tx};
use crate::{sql, values};
use signpost_core::{Clock, Random, Slug, Timestamp, ids};

const INSERT: Sql = sql!(
    "INSERT INTO audit_event (id, at, actor_kind, actor_id, actor_name, role, action, biller, subject, reason, \
     details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
);

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A member of staff, at the console.
    Staff {
        /// The subject at the staff's identity provider.
        sub: String,
        /// Name, for people.
        name: String,
        /// `support`, `operator` or `auditor`.
        role: String,
    },
    /// A machine, by its API key.
    Key {
        /// The key's id.
        id: String,
        /// What the key is called.
        name: String,
    },
    /// Somebody at the command line, by the account of the operating system.
    Cli {
        /// The account.
        user: String,
    },
    /// Signpost itself: what a job brings to its end, and what is set up for a demo.
    System,
}

impl Actor {
    /// `staff`, `key`, `cli` or `system`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Staff { .. } => "staff",
            Self::Key { .. } => "key",
            Self::Cli { .. } => "cli",
            Self::System => "system",
        }
    }

    /// What tells one from another of the same kind.
    pub fn id(&self) -> &str {
        match self {
            Self::Staff { sub, .. } => sub,
            Self::Key { id, .. } => id,
            Self::Cli { user } => user,
            Self::System => "",
        }
    }

    /// For people.
    pub fn name(&self) -> &str {
        match self {
            Self::Staff { name, .. } | Self::Key { name, .. } => name,
            Self::Cli { user } => user,
            Self::System => "Signpost",
        }
    }

    /// What a member of staff may do.
    pub fn role(&self) -> Option<&str> {
        match self {
            Self::Staff { role, .. } => Some(role),
            _ => None,
        }
    }

    /// Who it is, as it stands beside what waits for a second person.
    pub fn identity(&self) -> String {
        match self {
            Self::Staff { sub, .. } => format!("staff {sub}"),
            Self::Key { id, .. } => format!("key {id}"),
            Self::Cli { user } => format!("user {user}"),
            Self::System => "Signpost".to_owned(),
        }
    }
}

macro_rules! actions {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// What is done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $(#[doc = $doc] $variant,)* }

        impl Action {
            /// Every action there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The action's permanent name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, for the reference.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

actions! {
    BillerCreated "biller.created" "A biller was made.";
    BillerUpdated "biller.updated" "A biller was changed.";
    BillerPaused "biller.paused" "An operator holds a biller.";
    BillerUnpaused "biller.unpaused" "A hold has ended.";
    RolloutUpdated "rollout.updated" "Another rollout, or another activation date.";
    MaintenanceUpdated "maintenance.updated" "Maintenance was announced, or is no longer.";
    KillSwitchSet "kill_switch.set" "The kill switch was set.";
    ChangeRequested "change.requested" "A change waits for a second person.";
    ChangeApproved "change.approved" "A second person made it.";
    ChangeRejected "change.rejected" "It was declined, or taken back.";
    CiamEnablementStarted "ciam.enablement_started" "A biller is being moved.";
    CiamEnablementCancelled "ciam.enablement_cancelled" "Somebody wants that undone.";
    CiamActivated "ciam.activated" "The job has moved the biller.";
    CiamRolledBack "ciam.rolled_back" "The job was undone.";
    CiamSuspended "ciam.suspended" "A moved biller was switched off.";
    CiamResumed "ciam.resumed" "It was switched on again.";
    KeyCreated "key.created" "An API key was made.";
    KeyRevoked "key.revoked" "An API key was ended.";
    UserCreated "user.created" "A user was made.";
    UserUpdated "user.updated" "A user was changed, suspended or deleted.";
    MembersUpdated "members.updated" "Who belongs to a biller was changed.";
    UsersImported "users.imported" "A file of users is imported.";
    LoginAddressSent "login_address.sent" "A biller's contact is mailed its login address.";
    SettingsSynced "settings.synced" "A biller's settings at SecureAuth are brought to ours.";
    UsersSynced "users.synced" "Users at SecureAuth are brought to the directory's state.";
    UsersExported "users.exported" "What SecureAuth has of users is written out.";
    PasswordChanged "password.changed" "A change of a user's password is passed on.";
    PasswordResetRequested "password.reset_requested" "A password reset is asked for, for a user.";
    SessionsRevoked "sessions.revoked" "Sessions were ended.";
    SecretsRotated "secrets.rotated" "The keys that seal and sign were changed.";
    CodeLookedUp "code.looked_up" "A reference code was looked up.";
    UserLookedUp "user.looked_up" "Somebody was looked up by username.";
    SimulationRun "simulation.run" "Somebody asked where a user would be taken.";
    ImpactPreviewed "impact.previewed" "Somebody asked what a change would do.";
    AuditExported "audit.exported" "The audit trail was written out.";
}

impl Action {
    /// Reads an action as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == text)
    }
}

/// Something that is done.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    action: Action,
    biller: Option<Slug>,
    subject: Option<String>,
    details: Map<String, Json>,
}

impl AuditEvent {
    /// An event, without more.
    pub fn new(action: Action) -> Self {
        Self { action, biller: None, subject: None, details: Map::new() }
    }

    /// At this biller.
    pub fn at(self, biller: &Slug) -> Self {
        Self { biller: Some(biller.clone()), ..self }
    }

    /// About this user, key, code, change or job, by its id.
    pub fn about(self, subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..self }
    }

    /// More about it: no secrets, no names of users.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// By whom something is done, and why: what an event is written with.
#[derive(Clone, Debug)]
pub struct ActorContext {
    /// Who.
    pub actor: Actor,
    reason: Option<String>,
    clock: Clock,
    random: Random,
}

impl ActorContext {
    /// Somebody, without a reason.
    pub fn new(actor: Actor, clock: &Clock, random: &Random) -> Self {
        Self { actor, reason: None, clock: clock.clone(), random: random.clone() }
    }

    /// For this reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes ids.
    pub fn random(&self) -> &Random {
        &self.random
    }

    /// Writes an event, in the transaction of what it changes.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record(&self, tx: &mut Tx, event: AuditEvent) -> Result<(), DbError> {
        tx.run(INSERT, self.row(event)).await.map(drop)
    }

    /// Writes an event that changes nothing here, before it is done.
    ///
    /// # Errors
    /// The database failed: it must not be done then.
    pub async fn record_alone(&self, db: &Db, event: AuditEvent) -> Result<(), DbError> {
        db.run(INSERT, self.row(event)).await.map(drop)
    }

    fn row(&self, event: AuditEvent) -> Vec<crate::db::Value> {
        let now = self.now();
        let AuditEvent { action, biller, subject, details } = event;
        let biller = biller.as_ref().map(Slug::as_str);
        let (kind, id, name, role) = (self.actor.kind(), self.actor.id(), self.actor.name(), self.actor.role());
        let details = Json::Object(details).to_string();
        let event_id = ids::uuid_v7(now, &self.random);
        values![event_id, now, kind, id, name, role, action.as_str(), biller, subject, self.reason.clone(), details]
    }
}
