//! Jobs and their steps in the database. Every write of a worker carries the fencing token and renews the lease.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::job::{Job, JobState, Step, StepState};
use super::stop::StopReason;
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::{Db, DbError, Row, Sql, Tx};
use crate::directory::{Biller, Directory};
use crate::provisioning::{CiamMode, EnablementOptions, ProvisioningError};
use crate::queue::{Lease, Queue, Statements};
use crate::{sql, values};
use signpost_core::decision::CiamState;
use signpost_core::{BillerId, Clock, Random, Timestamp, ids};

macro_rules! columns {
    () => {
        "id, biller_id, state, cancel_requested, mode, passwords, last_user_id, done, total, message, created_at, ended_at, \
         problem"
    };
}
macro_rules! select {
    ($tail:literal) => {
        concat!("SELECT ", columns!(), " FROM job ", $tail)
    };
}

const OPEN_JOB: Sql = sql!(select!("WHERE biller_id = $1 AND ended_at IS NULL"));
const BY_ID: Sql = sql!(select!("WHERE id = $1"));
const LATEST_JOBS: Sql = sql!(select!("ORDER BY created_at DESC, id DESC LIMIT 100"));
const LATEST_JOB_OF: Sql = sql!(select!("WHERE biller_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1"));
const BY_STATE: Sql = sql!("SELECT state, count(*) AS total FROM job GROUP BY state");
const OPEN: Sql = sql!("SELECT count(*) AS total, min(created_at) AS oldest FROM job WHERE ended_at IS NULL");
const ORGANIZATION: Sql = sql!(
    "SELECT s.object_id AS id FROM job_step s JOIN job j ON j.id = s.job_id \
     WHERE j.biller_id = $1 AND j.state = 'active' AND s.kind = 'organization' ORDER BY j.created_at DESC LIMIT 1"
);
const STEPS: Sql =
    sql!("SELECT kind, object_id, state, sealed FROM job_step WHERE job_id = $1 ORDER BY updated_at, kind");
const STATEMENTS: Statements = Statements {
    has_due: sql!("SELECT 1 FROM job WHERE ended_at IS NULL AND lease_until < $1 LIMIT 1"),
    claim: sql!(concat!(
        "UPDATE job SET fencing_token = $1, lease_until = $2, updated_at = $3, \
         state = CASE WHEN state = 'queued' THEN 'running' ELSE state END \
         WHERE lease_until < $3 AND ended_at IS NULL AND id = (SELECT id FROM job \
         WHERE ended_at IS NULL AND lease_until < $3 ORDER BY created_at, id LIMIT 1) RETURNING ",
        columns!()
    )),
};
const CREATE: Sql = sql!(
    "INSERT INTO job (id, biller_id, state, cancel_requested, mode, passwords, generation, fencing_token, lease_until, \
     last_user_id, done, total, message, created_at, updated_at) \
     VALUES ($1, $2, 'queued', 0, $3, $4, $5, '', 0, '', 0, $6, '', $7, $7)"
);
const REQUEST_CANCEL: Sql =
    sql!("UPDATE job SET cancel_requested = 1, updated_at = $2 WHERE biller_id = $1 AND ended_at IS NULL");
const RENEW_LEASE: Sql =
    sql!("UPDATE job SET lease_until = $3, updated_at = $4 WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL");
const RECORD_PROGRESS: Sql = sql!(
    "UPDATE job SET lease_until = $3, updated_at = $4, last_user_id = $5, done = $6, message = $7, \
     problem = '' WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL"
);
const RECORD_PROBLEM: Sql =
    sql!("UPDATE job SET updated_at = $3, problem = $4 WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL");
const SET_STATE: Sql = sql!(
    "UPDATE job SET lease_until = $3, updated_at = $4, state = $5, message = $6, ended_at = $7, \
     problem = CASE WHEN $5 = 'active' THEN '' ELSE problem END WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL"
);
const UPSERT_STEP: Sql = sql!(
    "INSERT INTO job_step (job_id, kind, object_id, state, sealed, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (job_id, kind) DO UPDATE SET state = excluded.state, \
     updated_at = excluded.updated_at"
);

/// A job that this worker owns.
#[derive(Clone, Debug)]
pub(in crate::provisioning) struct LeasedJob {
    job: Job,
    pub lease: Lease,
}

impl Deref for LeasedJob {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.job
    }
}

impl DerefMut for LeasedJob {
    fn deref_mut(&mut self) -> &mut Job {
        &mut self.job
    }
}

#[derive(Clone, Debug)]
pub(in crate::provisioning) struct Ledger {
    db: Db,
    directory: Directory,
    clock: Clock,
    random: Random,
    queue: Queue,
}

impl Ledger {
    pub(in crate::provisioning) fn new(
        db: Db,
        directory: Directory,
        (clock, random): (Clock, Random),
        lease_time: Duration,
    ) -> Self {
        let queue = Queue::new(db.clone(), (clock.clone(), random.clone()), lease_time, STATEMENTS);
        Self { db, directory, clock, random, queue }
    }

    pub(in crate::provisioning) async fn open_job(&self, biller: &BillerId) -> Result<Option<Job>, DbError> {
        self.one(OPEN_JOB, biller.as_str()).await
    }

    pub(in crate::provisioning) async fn job(&self, id: &str) -> Result<Option<Job>, DbError> {
        self.one(BY_ID, id).await
    }

    pub(in crate::provisioning) async fn latest_job_of(&self, biller: &BillerId) -> Result<Option<Job>, DbError> {
        self.one(LATEST_JOB_OF, biller.as_str()).await
    }

    async fn one(&self, sql: Sql, value: &str) -> Result<Option<Job>, DbError> {
        self.db.one(sql, values![value]).await?.map(|row| read(&row)).transpose()
    }

    pub(in crate::provisioning) async fn latest_jobs(&self) -> Result<Vec<Job>, DbError> {
        self.db.all(LATEST_JOBS, values![]).await?.iter().map(read).collect()
    }

    pub(in crate::provisioning) async fn count_by_state(&self) -> Result<BTreeMap<&'static str, i64>, DbError> {
        let mut states: BTreeMap<_, _> = JobState::ALL.iter().map(|state| (state.as_str(), 0)).collect();
        for row in self.db.all(BY_STATE, values![]).await? {
            if let Some(count) = states.get_mut(row.text("state")?.as_str()) {
                *count = row.int("total")?;
            }
        }
        Ok(states)
    }

    /// The number of open jobs, and when the oldest was created.
    pub(in crate::provisioning) async fn count_open(&self) -> Result<(i64, Option<Timestamp>), DbError> {
        let Some(row) = self.db.one(OPEN, values![]).await? else { return Ok((0, None)) };
        Ok((row.int("total")?, row.opt_time("oldest")?))
    }

    pub(in crate::provisioning) async fn steps(&self, job: &str) -> Result<Vec<Step>, DbError> {
        let read = |row: &Row| {
            let state = row.text("state")?;
            Ok(Step {
                kind: row.text("kind")?,
                object_id: row.text("object_id")?,
                state: StepState::ALL.into_iter().find(|known| known.as_str() == state).unwrap_or(StepState::Existing),
                sealed: row.opt_text("sealed")?,
            })
        };
        self.db.all(STEPS, values![job]).await?.iter().map(read).collect()
    }

    /// The organization that a biller was migrated to.
    pub(in crate::provisioning) async fn organization_id_of(
        &self,
        biller: &BillerId,
    ) -> Result<Option<String>, DbError> {
        self.db.one(ORGANIZATION, values![biller.as_str()]).await?.map(|row| row.text("id")).transpose()
    }

    /// Creates a job and sets the biller to enabling, in one transaction. Of two concurrent calls, the second returns the first
    /// one's job.
    pub(in crate::provisioning) async fn create(
        &self,
        biller: &Biller,
        options: EnablementOptions,
        total: i64,
        actor: &ActorContext,
    ) -> Result<Job, ProvisioningError> {
        let now = self.clock.now();
        let id = ids::uuid_v7(now, &self.random);
        let mut tx = self.db.begin().await?;
        let mut generation = 0;
        let event = AuditEvent::new(Action::CiamEnablementStarted).about(&id).with("mode", options.mode.as_str());
        let changed = self.directory.update_biller_in(&mut tx, &biller.slug, (actor, event), |biller| {
            biller.state = CiamState::Enabling;
            biller.generation += 1;
            generation = biller.generation;
        });
        let not_found = || ProvisioningError::BillerNotFound(biller.slug.clone());
        if !changed.await? {
            return Err(not_found());
        }
        let passwords = serde_json::to_string(&options.passwords).unwrap_or_default();
        let row = values![&id, biller.id.as_str(), options.mode.as_str(), passwords, generation, total, now];
        match tx.run(CREATE, row).await {
            Ok(_) => tx.commit().await?,
            Err(DbError::Conflict(_)) => drop(tx),
            Err(error) => return Err(error.into()),
        }
        self.open_job(&biller.id).await?.ok_or_else(not_found)
    }

    pub(in crate::provisioning) async fn request_cancel(
        &self,
        biller: &Biller,
        actor: &ActorContext,
    ) -> Result<(), DbError> {
        let mut tx = self.db.begin().await?;
        if tx.run(REQUEST_CANCEL, values![biller.id.as_str(), actor.now()]).await? > 0 {
            actor.record(&mut tx, AuditEvent::new(Action::CiamEnablementCancelled).at(&biller.slug)).await?;
        }
        tx.commit().await
    }

    /// Claims the oldest open job that no worker owns.
    pub(in crate::provisioning) async fn claim(&self) -> Result<Option<LeasedJob>, DbError> {
        let Some((lease, rows)) = self.queue.claim().await? else { return Ok(None) };
        rows.first().map(|row| Ok(LeasedJob { job: read(row)?, lease })).transpose()
    }

    /// Renews the lease. Fails with [`StopReason::CancelRequested`] once an operator has cancelled the job.
    pub(in crate::provisioning) async fn renew_lease(&self, job: &LeasedJob) -> Result<(), StopReason> {
        let until = self.queue.lease_end();
        let row = values![&job.id, job.lease.fencing_token(), until, self.clock.now()];
        job.lease.renewed(self.db.run(RENEW_LEASE, row).await?, until)?;
        let cancel_requested = self.job(&job.id).await?.is_some_and(|job| job.cancel_requested);
        if cancel_requested && job.state == JobState::Running { Err(StopReason::CancelRequested) } else { Ok(()) }
    }

    pub(in crate::provisioning) async fn save_step(&self, job: &LeasedJob, step: &Step) -> Result<(), StopReason> {
        let (until, now) = (self.queue.lease_end(), self.clock.now());
        let mut tx = self.db.begin().await?;
        // The fenced write comes first, so that a former owner writes no step.
        let row = values![&job.id, job.lease.fencing_token(), until, now];
        job.lease.renewed(tx.run(RENEW_LEASE, row).await?, until)?;
        let (kind, id, state) = (step.kind.as_str(), step.object_id.as_str(), step.state.as_str());
        tx.run(UPSERT_STEP, values![&job.id, kind, id, state, step.sealed.clone(), now]).await?;
        Ok(tx.commit().await?)
    }

    /// Records the last user imported and the number of users so far.
    pub(in crate::provisioning) async fn record_progress(
        &self,
        job: &LeasedJob,
        (after, done): (&str, i64),
        message: &str,
    ) -> Result<(), StopReason> {
        let (until, now) = (self.queue.lease_end(), self.clock.now());
        let row = values![&job.id, job.lease.fencing_token(), until, now, after, done, message];
        Ok(job.lease.renewed(self.db.run(RECORD_PROGRESS, row).await?, until)?)
    }

    /// Records why the job waits or is rolled back, for operators.
    pub(in crate::provisioning) async fn record_problem(&self, job: &LeasedJob, problem: &str) -> Result<(), DbError> {
        let row = values![&job.id, job.lease.fencing_token(), self.clock.now(), problem];
        self.db.run(RECORD_PROBLEM, row).await.map(drop)
    }

    /// Sets the state. A final state ends the job and the lease.
    pub(in crate::provisioning) async fn set_state(
        &self,
        tx: &mut Tx,
        job: &LeasedJob,
        state: JobState,
        message: &str,
    ) -> Result<(), StopReason> {
        let now = self.clock.now();
        let ended_at = state.is_final().then_some(now);
        let until = ended_at.unwrap_or_else(|| self.queue.lease_end());
        let row = values![&job.id, job.lease.fencing_token(), until, now, state.as_str(), message, ended_at];
        Ok(job.lease.renewed(tx.run(SET_STATE, row).await?, until)?)
    }
}

fn read(row: &Row) -> Result<Job, DbError> {
    let state = row.text("state")?;
    Ok(Job {
        id: row.text("id")?,
        biller_id: BillerId::from_stored(row.text("biller_id")?),
        state: JobState::ALL.into_iter().find(|known| known.as_str() == state).unwrap_or(JobState::NeedsAttention),
        cancel_requested: row.int("cancel_requested")? != 0,
        mode: row.parsed("mode", CiamMode::parse)?,
        passwords: row.json("passwords")?,
        done: row.int("done")?,
        total: row.int("total")?,
        message: row.text("message")?,
        created_at: row.time("created_at")?,
        ended_at: row.opt_time("ended_at")?,
        problem: row.text("problem")?,
        last_user_id: row.text("last_user_id")?,
    })
}
