//! Jobs and their steps in the database. Every write of a worker carries its fence and renews its lease.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CiamMode, EnablementOptions, Provisioning, ProvisioningError};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::{Db, DbError, Row, Tx};
use crate::directory::{Biller, PasswordCarryOver, UserPoolRef};
use crate::secureauth::management::CallWindow;
use crate::values;
use signpost_core::decision::CiamState;
use signpost_core::{BillerId, Timestamp, ids};

macro_rules! columns {
    ($tail:literal) => {
        concat!(
            "SELECT id, biller_id, state, cancel_requested, mode, passwords, fencing_token, last_user_id, done, total, \
             message, created_at, ended_at, problem FROM job ",
            $tail
        )
    };
}

const OPEN_JOB: &str = columns!("WHERE biller_id = $1 AND ended_at IS NULL");
const BY_ID: &str = columns!("WHERE id = $1");
const BY_STATE: &str = "SELECT state, count(*) FROM job GROUP BY state";
const LATEST: &str = columns!("ORDER BY created_at DESC, id DESC LIMIT 100");
const DUE_JOB: &str = columns!("WHERE ended_at IS NULL AND lease_until < $1 ORDER BY created_at, id LIMIT 1");
const CREATE: &str = "INSERT INTO job (id, biller_id, state, cancel_requested, mode, passwords, generation, fencing_token, lease_until, \
     last_user_id, done, total, message, created_at, updated_at) \
     VALUES ($1, $2, 'queued', 0, $3, $4, $5, 0, 0, '', 0, $6, '', $7, $7)";
const REQUEST_CANCEL: &str =
    "UPDATE job SET cancel_requested = 1, updated_at = $2 WHERE biller_id = $1 AND ended_at IS NULL";
/// Compare and set: of two that want it, one gets it.
const ACQUIRE_LEASE: &str = "UPDATE job SET fencing_token = fencing_token + 1, lease_until = $3, updated_at = $2, \
     state = CASE WHEN state = 'queued' THEN 'running' ELSE state END \
     WHERE id = $1 AND ended_at IS NULL AND lease_until < $2 AND fencing_token = $4";
const RENEW_LEASE: &str =
    "UPDATE job SET lease_until = $3, updated_at = $4 WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL";
const RECORD_PROGRESS: &str = "UPDATE job SET lease_until = $3, updated_at = $4, last_user_id = $5, done = $6, message = $7, \
     problem = '' WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL";
const RECORD_PROBLEM: &str =
    "UPDATE job SET updated_at = $3, problem = $4 WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL";
const SET_STATE: &str = "UPDATE job SET lease_until = $3, updated_at = $4, state = $5, message = $6, ended_at = $7, \
     problem = CASE WHEN $5 = 'active' THEN '' ELSE problem END WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL";
const STEPS: &str = "SELECT kind, object_id, state, sealed FROM job_step WHERE job_id = $1 ORDER BY updated_at, kind";
const UPSERT_STEP: &str = "INSERT INTO job_step (job_id, kind, object_id, state, sealed, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (job_id, kind) DO UPDATE SET state = excluded.state, \
     updated_at = excluded.updated_at";
const ORGANIZATION: &str = "SELECT s.object_id FROM job_step s JOIN job j ON j.id = s.job_id \
     WHERE j.biller_id = $1 AND j.state = 'active' AND s.kind = 'organization' ORDER BY j.created_at DESC LIMIT 1";

/// Where a biller's users were moved to.
const USER_POOL: &str = "SELECT o.object_id, p.object_id, j.mode FROM job j \
     JOIN job_step o ON o.job_id = j.id AND o.kind = 'organization' \
     JOIN job_step p ON p.job_id = j.id AND p.kind = 'pool' \
     WHERE j.biller_id = $1 AND j.state = 'active' ORDER BY j.created_at DESC LIMIT 1";

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nobody has taken it up.
    Queued,
    /// On its way forward.
    Running,
    /// On its way back.
    RollingBack,
    /// Done: the biller is active.
    Active,
    /// Undone: nothing is left.
    RolledBack,
    /// Neither: something has to be looked at by a person.
    NeedsAttention,
}

impl JobState {
    const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::RollingBack, Self::Active, Self::RolledBack, Self::NeedsAttention];

    /// The state as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::RollingBack => "rolling_back",
            Self::Active => "active",
            Self::RolledBack => "rolled_back",
            Self::NeedsAttention => "needs_attention",
        }
    }

    /// Whether nothing more will happen by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Active | Self::RolledBack | Self::NeedsAttention)
    }
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Permanent id; the tag of everything it makes.
    pub id: String,
    /// The biller it moves.
    pub biller_id: BillerId,
    /// Where it is.
    pub state: JobState,
    /// Somebody wants it undone.
    pub cancel_requested: bool,
    /// How the biller's users will sign in.
    pub mode: CiamMode,
    /// Whether passwords come along.
    pub passwords: PasswordCarryOver,
    /// Users sent so far.
    pub done: i64,
    /// Users in all, as of its start.
    pub total: i64,
    /// For people.
    pub message: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it waits, or why it was turned back; for operators.
    pub problem: String,
    /// The owner's number.
    pub(super) fencing_token: i64,
    /// Until when the owner may make calls.
    pub(super) window: CallWindow,
    /// The last user sent.
    pub(super) last_user_id: String,
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It was there before and stays, whatever happens.
    Existing,
    /// It was there before, but switched off; it is switched off again when the job is undone.
    Reactivated,
    /// About to be made: it may be there, or not.
    Intended,
    /// Made.
    Confirmed,
    /// Taken away again.
    RolledBack,
}

impl StepState {
    const ALL: [Self; 5] = [Self::Existing, Self::Reactivated, Self::Intended, Self::Confirmed, Self::RolledBack];

    /// The state as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Existing => "existing",
            Self::Reactivated => "reactivated",
            Self::Intended => "intended",
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// One object that a job makes.
#[derive(Clone, Debug)]
pub struct Step {
    /// `organization`, `pool`, `connection`, `client` or `claim`.
    pub kind: String,
    /// Its exact id at SecureAuth.
    pub object_id: String,
    /// Where it is.
    pub state: StepState,
    /// A secret that belongs to it, sealed.
    pub(super) sealed: Option<String>,
}

/// Why a worker stops.
#[derive(Debug, thiserror::Error)]
pub(super) enum StopReason {
    /// Another owner has it, or it has ended.
    #[error("the job has another owner")]
    LeaseLost,
    /// Somebody wants it undone.
    #[error("the job was turned back")]
    CancelRequested,
    /// It cannot go on, and says why.
    #[error("{0}")]
    Failed(String),
    /// It can go on later.
    #[error(transparent)]
    RetryLater(#[from] ProvisioningError),
}

impl From<DbError> for StopReason {
    fn from(error: DbError) -> Self {
        Self::RetryLater(error.into())
    }
}

pub(super) async fn open_job(db: &Db, biller: &BillerId) -> Result<Option<Job>, DbError> {
    one(db, OPEN_JOB, biller.as_str()).await
}

pub(super) async fn job(db: &Db, id: &str) -> Result<Option<Job>, DbError> {
    one(db, BY_ID, id).await
}

pub(super) async fn count_by_state(db: &Db) -> Result<BTreeMap<&'static str, i64>, DbError> {
    let mut states: BTreeMap<_, _> = JobState::ALL.iter().map(|state| (state.as_str(), 0)).collect();
    for row in db.all(BY_STATE, values![]).await? {
        let state = row.text(0)?;
        if let Some(count) =
            JobState::ALL.iter().find(|known| known.as_str() == state).and_then(|s| states.get_mut(s.as_str()))
        {
            *count = row.int(1)?;
        }
    }
    Ok(states)
}

pub(super) async fn latest_jobs(db: &Db) -> Result<Vec<Job>, DbError> {
    db.all(LATEST, values![]).await?.iter().map(read).collect()
}

async fn one(db: &Db, sql: &'static str, value: &str) -> Result<Option<Job>, DbError> {
    db.one(sql, values![value]).await?.map(|row| read(&row)).transpose()
}

/// Makes the job and marks the biller, in one transaction. Of two at once the later one joins the earlier one's job.
pub(super) async fn create(
    provisioning: &Provisioning,
    biller: &Biller,
    options: EnablementOptions,
    actor: &ActorContext,
) -> Result<Job, ProvisioningError> {
    let now = provisioning.clock.now();
    let id = ids::uuid_v7(now, &provisioning.random);
    let total = super::users::count(&provisioning.db, &biller.id).await?;
    let mut tx = provisioning.db.begin().await?;
    let mut generation = 0;
    let event = AuditEvent::new(Action::CiamEnablementStarted).about(&id).with("mode", options.mode.as_str());
    let marked = provisioning
        .directory
        .update_biller_in(&mut tx, &biller.slug, (actor, event), |biller| {
            biller.state = CiamState::Enabling;
            biller.generation += 1;
            generation = biller.generation;
        })
        .await?;
    if !marked {
        return Err(ProvisioningError::BillerNotFound(biller.slug.clone()));
    }
    let passwords = serde_json::to_string(&options.passwords).unwrap_or_default();
    let row = values![&id, biller.id.as_str(), options.mode.as_str(), passwords, generation, total, now];
    match tx.run(CREATE, row).await {
        Ok(_) => tx.commit().await?,
        Err(DbError::Conflict(_)) => drop(tx),
        Err(error) => return Err(error.into()),
    }
    open_job(&provisioning.db, &biller.id).await?.ok_or_else(|| ProvisioningError::BillerNotFound(biller.slug.clone()))
}

pub(super) async fn request_cancel(db: &Db, biller: &Biller, actor: &ActorContext) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    if tx.run(REQUEST_CANCEL, values![biller.id.as_str(), actor.now()]).await? > 0 {
        actor.record(&mut tx, AuditEvent::new(Action::CiamEnablementCancelled).at(&biller.slug)).await?;
    }
    tx.commit().await
}

/// Takes up a job that nobody is at.
pub(super) async fn lease_next(db: &Db, now: Timestamp, lease: Duration) -> Result<Option<Job>, DbError> {
    let Some(row) = db.one(DUE_JOB, values![now]).await? else { return Ok(None) };
    let mut job = read(&row)?;
    if db.run(ACQUIRE_LEASE, values![&job.id, now, now.plus(lease), job.fencing_token]).await? == 0 {
        return Ok(None);
    }
    job.fencing_token += 1;
    job.window.extend(now.plus(lease));
    if job.state == JobState::Queued {
        job.state = JobState::Running;
    }
    Ok(Some(job))
}

pub(super) async fn steps(db: &Db, job: &str) -> Result<Vec<Step>, DbError> {
    let rows = db.all(STEPS, values![job]).await?;
    rows.iter()
        .map(|row| {
            let state = row.text(2)?;
            Ok(Step {
                kind: row.text(0)?,
                object_id: row.text(1)?,
                state: StepState::ALL.into_iter().find(|known| known.as_str() == state).unwrap_or(StepState::Existing),
                sealed: row.opt_text(3)?,
            })
        })
        .collect()
}

/// The organization that a biller was moved to.
pub(super) async fn organization_id_of(db: &Db, biller: &BillerId) -> Result<Option<String>, DbError> {
    db.one(ORGANIZATION, values![biller.as_str()]).await?.map(|row| row.text(0)).transpose()
}

/// Where a biller's users were moved to, if a job of ours did it.
pub(super) async fn user_pool_of(db: &Db, biller: &BillerId) -> Result<Option<UserPoolRef>, DbError> {
    let Some(row) = db.one(USER_POOL, values![biller.as_str()]).await? else { return Ok(None) };
    let sso = CiamMode::parse(&row.text(2)?) == Some(CiamMode::Sso);
    Ok(Some(UserPoolRef { organization: row.text(0)?, pool: row.text(1)?, sso }))
}

impl Provisioning {
    /// Renews the lease; [`StopReason::CancelRequested`] once somebody wants the job undone.
    pub(super) async fn renew_lease(&self, job: &Job) -> Result<(), StopReason> {
        let now = self.clock.now();
        let renewed = self.db.run(RENEW_LEASE, values![&job.id, job.fencing_token, now.plus(self.lease), now]).await?;
        if renewed == 0 {
            return Err(StopReason::LeaseLost);
        }
        job.window.extend(now.plus(self.lease));
        let cancel_requested = self::job(&self.db, &job.id).await?.is_some_and(|job| job.cancel_requested);
        if cancel_requested && job.state == JobState::Running { Err(StopReason::CancelRequested) } else { Ok(()) }
    }

    /// Writes a step, under the fence.
    pub(super) async fn save_step(&self, job: &Job, step: &Step) -> Result<(), StopReason> {
        let mut tx = self.db.begin().await?;
        self.renew_lease_in(&mut tx, job).await?;
        let row = values![
            &job.id,
            step.kind.as_str(),
            step.object_id.as_str(),
            step.state.as_str(),
            step.sealed.clone(),
            self.clock.now()
        ];
        tx.run(UPSERT_STEP, row).await?;
        Ok(tx.commit().await?)
    }

    /// Writes how far the users are.
    pub(super) async fn record_progress(
        &self,
        job: &Job,
        (after, done): (&str, i64),
        message: &str,
    ) -> Result<(), StopReason> {
        let now = self.clock.now();
        let row = values![&job.id, job.fencing_token, now.plus(self.lease), now, after, done, message];
        if self.db.run(RECORD_PROGRESS, row).await? == 0 { Err(StopReason::LeaseLost) } else { Ok(()) }
    }

    /// Notes why the job waits or turns, for operators.
    pub(super) async fn record_problem(&self, job: &Job, problem: &str) -> Result<(), DbError> {
        self.db.run(RECORD_PROBLEM, values![&job.id, job.fencing_token, self.clock.now(), problem]).await.map(drop)
    }

    /// Moves the job to a state; a final one ends it.
    pub(super) async fn set_state(
        &self,
        tx: &mut Tx,
        job: &Job,
        state: JobState,
        message: &str,
    ) -> Result<(), StopReason> {
        let now = self.clock.now();
        let ended_at = state.is_final().then_some(now);
        let lease = if state.is_final() { now } else { now.plus(self.lease) };
        let row = values![&job.id, job.fencing_token, lease, now, state.as_str(), message, ended_at];
        if tx.run(SET_STATE, row).await? == 0 { Err(StopReason::LeaseLost) } else { Ok(()) }
    }

    /// First in every transaction of a worker.
    async fn renew_lease_in(&self, tx: &mut Tx, job: &Job) -> Result<(), StopReason> {
        let now = self.clock.now();
        let renewed = tx.run(RENEW_LEASE, values![&job.id, job.fencing_token, now.plus(self.lease), now]).await?;
        if renewed == 0 {
            return Err(StopReason::LeaseLost);
        }
        job.window.extend(now.plus(self.lease));
        Ok(())
    }
}

fn read(row: &Row) -> Result<Job, DbError> {
    let state = row.text(2)?;
    Ok(Job {
        id: row.text(0)?,
        biller_id: BillerId::from_stored(row.text(1)?),
        state: JobState::ALL.into_iter().find(|known| known.as_str() == state).unwrap_or(JobState::NeedsAttention),
        cancel_requested: row.int(3)? != 0,
        mode: CiamMode::parse(&row.text(4)?).unwrap_or_default(),
        passwords: serde_json::from_str(&row.text(5)?).unwrap_or_default(),
        fencing_token: row.int(6)?,
        last_user_id: row.text(7)?,
        done: row.int(8)?,
        total: row.int(9)?,
        message: row.text(10)?,
        created_at: row.time(11)?,
        ended_at: row.opt_time(12)?,
        problem: row.text(13)?,
        window: CallWindow::default(),
    })
}
