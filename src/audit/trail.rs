//! The audit trail: who did what, when and why. An event is written in the transaction of its change, so no change lacks its
//! event. An action without a change in the database, such as a lookup, is recorded before it runs.

use serde_json::{Map, Value as Json};

use crate::db::{Db, DbError, Sql, Tx};
use crate::{sql, values};
use signpost_core::{Clock, Random, Slug, Timestamp, ids};

const INSERT: Sql = sql!(
    "INSERT INTO audit_event (id, at, actor_kind, actor_id, actor_name, principal, role, action, biller, subject, reason, \
     details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A member of staff in the console.
    Staff {
        /// The `sub` claim of the staff's identity provider.
        sub: String,
        name: String,
        /// `support`, `operator` or `auditor`.
        role: String,
    },
    /// A machine with an API key.
    Key {
        id: String,
        name: String,
        /// Who is behind the key: the person or system that it was created for, or the principal of its creator.
        principal: String,
        created_at: Timestamp,
    },
    /// An operator at the command line, with an account of the operating system.
    Cli { user: String },
    /// Signpost itself, such as a job or the demo setup.
    System,
}

impl Actor {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Staff { .. } => "staff",
            Self::Key { .. } => "key",
            Self::Cli { .. } => "cli",
            Self::System => "system",
        }
    }

    /// Id among the actors of this kind.
    pub fn id(&self) -> &str {
        match self {
            Self::Staff { sub, .. } => sub,
            Self::Key { id, .. } => id,
            Self::Cli { user } => user,
            Self::System => "",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Staff { name, .. } | Self::Key { name, .. } => name,
            Self::Cli { user } => user,
            Self::System => "Signpost",
        }
    }

    pub fn role(&self) -> Option<&str> {
        match self {
            Self::Staff { role, .. } => Some(role),
            _ => None,
        }
    }

    /// Who is behind the actor. A pending approval compares it, so that requester and approver are two: staff and the keys that
    /// they created count as one, so do a key and the keys that it created, and so do all accounts at the command line.
    pub fn principal(&self) -> String {
        match self {
            Self::Key { principal, .. } => principal.clone(),
            Self::Cli { .. } => "local command line".to_owned(),
            Self::Staff { .. } | Self::System => self.identity(),
        }
    }

    /// When the actor's key was created. `None` for other actors.
    pub fn key_created_at(&self) -> Option<Timestamp> {
        match self {
            Self::Key { created_at, .. } => Some(*created_at),
            _ => None,
        }
    }

    /// Kind and id.
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
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $(#[doc = $doc] $variant,)* }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The permanent name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// For the reference documentation.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

actions! {
    BillerCreated "biller.created" "A biller was created.";
    BillerUpdated "biller.updated" "A biller was changed.";
    BillerPaused "biller.paused" "An operator paused a biller.";
    BillerUnpaused "biller.unpaused" "An operator ended the pause of a biller.";
    RolloutUpdated "rollout.updated" "The rollout or the activation date of a biller was changed.";
    MaintenanceUpdated "maintenance.updated" "A maintenance window was set or removed.";
    KillSwitchSet "kill_switch.set" "The kill switch was set.";
    DatabaseRestored "database.restored" "The database was restored from a backup, and all sessions were ended.";
    DatabaseCopied "database.copied" "The database was copied from another one.";
    ChangeRequested "change.requested" "A change was requested and needs an approval.";
    ChangeApproved "change.approved" "An approver approved a change.";
    ChangeRejected "change.rejected" "A change was rejected or withdrawn.";
    CiamEnablementStarted "ciam.enablement_started" "A job started to migrate a biller.";
    CiamEnablementCancelled "ciam.enablement_cancelled" "A running migration was cancelled.";
    CiamActivated "ciam.activated" "A job completed the migration of a biller.";
    CiamRolledBack "ciam.rolled_back" "A job was rolled back.";
    CiamSuspended "ciam.suspended" "A migrated biller was suspended.";
    CiamResumed "ciam.resumed" "A suspended biller was resumed.";
    KeyCreated "key.created" "An API key was created.";
    KeyRevoked "key.revoked" "An API key was revoked.";
    UserCreated "user.created" "A user was created.";
    UserUpdated "user.updated" "A user was changed, suspended or deleted.";
    UserErased "user.erased" "The personal data of a user was erased.";
    UserDataExported "user.data_exported" "All data about a user was exported.";
    MembersUpdated "members.updated" "The memberships of a biller were changed.";
    UsersImported "users.imported" "A user file was imported.";
    LoginAddressSent "login_address.sent" "The login address was mailed to a biller's contact.";
    SettingsSynced "settings.synced" "The settings of a biller were written to SecureAuth.";
    UsersSynced "users.synced" "Users at SecureAuth were updated from the directory.";
    UsersExported "users.exported" "The users at SecureAuth were exported.";
    PasswordChanged "password.changed" "A user's password change was sent to SecureAuth.";
    PasswordResetRequested "password.reset_requested" "A password reset was requested for a user.";
    SessionsRevoked "sessions.revoked" "Sessions were revoked.";
    SecretsRotated "secrets.rotated" "The keys that seal and sign were rotated.";
    CodeLookedUp "code.looked_up" "A reference code was looked up.";
    UserLookedUp "user.looked_up" "A user was looked up by username.";
    SimulationRun "simulation.run" "A routing simulation was run.";
    ImpactPreviewed "impact.previewed" "The impact of a change was previewed.";
    AuditExported "audit.exported" "The audit trail was exported.";
}

impl Action {
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == text)
    }
}

#[derive(Clone, Debug)]
pub struct AuditEvent {
    action: Action,
    biller: Option<Slug>,
    subject: Option<String>,
    details: Map<String, Json>,
}

impl AuditEvent {
    pub fn new(action: Action) -> Self {
        Self { action, biller: None, subject: None, details: Map::new() }
    }

    pub fn at(self, biller: &Slug) -> Self {
        Self { biller: Some(biller.clone()), ..self }
    }

    /// Sets the id of the user, key, code, change or job concerned.
    pub fn about(self, subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..self }
    }

    /// Adds a detail. Details must not contain secrets or usernames.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// Who acts and why. Every change takes it, to record its audit event.
#[derive(Clone, Debug)]
pub struct ActorContext {
    pub actor: Actor,
    reason: Option<String>,
    clock: Clock,
    random: Random,
}

impl ActorContext {
    pub fn new(actor: Actor, clock: &Clock, random: &Random) -> Self {
        Self { actor, reason: None, clock: clock.clone(), random: random.clone() }
    }

    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn random(&self) -> &Random {
        &self.random
    }

    /// Records an event in the transaction of its change.
    pub async fn record(&self, tx: &mut Tx, event: AuditEvent) -> Result<(), DbError> {
        tx.run(INSERT, self.row(event)).await.map(drop)
    }

    /// Records an action without a change in the database, before it runs.
    ///
    /// # Errors
    /// The action must not run then.
    pub async fn record_alone(&self, db: &Db, event: AuditEvent) -> Result<(), DbError> {
        db.run(INSERT, self.row(event)).await.map(drop)
    }

    fn row(&self, event: AuditEvent) -> Vec<crate::db::Value> {
        let now = self.now();
        let AuditEvent { action, biller, subject, details } = event;
        let biller = biller.as_ref().map(Slug::as_str);
        let Self { actor, reason, random, .. } = self;
        let (kind, id, name, principal, role) =
            (actor.kind(), actor.id(), actor.name(), actor.principal(), actor.role());
        let (event_id, action) = (ids::uuid_v7(now, random), action.as_str());
        let details = Json::Object(details).to_string();
        values![event_id, now, kind, id, name, principal, role, action, biller, subject, reason.clone(), details]
    }
}
