//! What operators and the CRM ask for: enable, cancel, suspend and resume a biller, and read its jobs.

use std::collections::BTreeMap;

use super::jobs::{Job, Step};
use super::sync::users;
use super::{EnablementOptions, Provisioning, ProvisioningError};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::DbError;
use crate::directory::Biller;
use signpost_core::decision::CiamState;
use signpost_core::{BillerId, Slug, Timestamp};

impl Provisioning {
    /// Starts an enablement job, or returns the biller's open job. A worker runs it later.
    pub async fn start(
        &self,
        slug: &Slug,
        options: EnablementOptions,
        actor: &ActorContext,
    ) -> Result<Job, ProvisioningError> {
        if self.management.is_none() {
            return Err(ProvisioningError::NotConfigured);
        }
        let biller = self.biller(slug).await?;
        if let Some(job) = self.ledger.open_job(&biller.id).await? {
            return Ok(job);
        }
        let invalid_state =
            |hint| ProvisioningError::InvalidState { slug: slug.clone(), state: biller.state.as_str(), hint };
        match biller.state {
            CiamState::Legacy | CiamState::Enabling => {}
            CiamState::Active => return Err(invalid_state("it is already enabled")),
            CiamState::Suspended => return Err(invalid_state("`signpost resume` activates it again")),
        }
        users::check_usernames(&self.db, &biller.id).await?;
        let total = users::count(&self.db, &biller.id).await?;
        let job = self.ledger.create(&biller, options, total, actor).await?;
        self.wake.notify_one();
        Ok(job)
    }

    /// Requests that the biller's open job is rolled back. Returns the job, if there is one.
    pub async fn cancel(&self, slug: &Slug, actor: &ActorContext) -> Result<Option<Job>, ProvisioningError> {
        let biller = self.biller(slug).await?;
        self.ledger.request_cancel(&biller, actor).await?;
        Ok(self.ledger.open_job(&biller.id).await?)
    }

    pub async fn job(&self, id: &str) -> Result<Option<Job>, DbError> {
        self.ledger.job(id).await
    }

    /// The latest jobs, newest first.
    pub async fn jobs(&self) -> Result<Vec<Job>, DbError> {
        self.ledger.latest_jobs().await
    }

    pub async fn jobs_by_state(&self) -> Result<BTreeMap<&'static str, i64>, DbError> {
        self.ledger.count_by_state().await
    }

    /// The number of open jobs, and when the oldest was created.
    pub async fn open_jobs(&self) -> Result<(i64, Option<Timestamp>), DbError> {
        self.ledger.count_open().await
    }

    pub async fn steps(&self, job: &Job) -> Result<Vec<Step>, DbError> {
        self.ledger.steps(&job.id).await
    }

    /// The latest job of a biller, open or final.
    pub async fn latest_job(&self, biller: &BillerId) -> Result<Option<Job>, DbError> {
        self.ledger.latest_job_of(biller).await
    }

    /// Suspends an active biller, then deactivates its organization. Nothing is deleted. If SecureAuth fails, the biller is
    /// suspended all the same.
    pub async fn suspend(&self, slug: &Slug, actor: &ActorContext) -> Result<(), ProvisioningError> {
        self.transition(slug, (CiamState::Active, CiamState::Suspended), (actor, Action::CiamSuspended)).await?;
        self.set_organization_deactivated(slug, true).await
    }

    /// Activates the organization of a suspended biller, then the biller. If SecureAuth fails, the biller stays suspended.
    pub async fn resume(&self, slug: &Slug, actor: &ActorContext) -> Result<(), ProvisioningError> {
        self.set_organization_deactivated(slug, false).await?;
        self.transition(slug, (CiamState::Suspended, CiamState::Active), (actor, Action::CiamResumed)).await
    }

    async fn transition(
        &self,
        slug: &Slug,
        (from, to): (CiamState, CiamState),
        (actor, action): (&ActorContext, Action),
    ) -> Result<(), ProvisioningError> {
        let mut found = None;
        let change = |biller: &mut Biller| {
            found = Some(biller.state);
            biller.state = to;
        };
        let mut tx = self.db.begin().await?;
        self.directory.update_biller_in(&mut tx, slug, (actor, AuditEvent::new(action)), change).await?;
        match found {
            None => Err(ProvisioningError::BillerNotFound(slug.clone())),
            Some(state) if state == from => Ok(tx.commit().await?),
            Some(state) if state == to => Ok(()),
            Some(state) => {
                let hint = "only an active biller can be suspended, and only a suspended biller can be resumed";
                Err(ProvisioningError::InvalidState { slug: slug.clone(), state: state.as_str(), hint })
            }
        }
    }

    /// Does nothing for a biller that no enablement job migrated.
    async fn set_organization_deactivated(&self, slug: &Slug, deactivated: bool) -> Result<(), ProvisioningError> {
        let biller = self.biller(slug).await?;
        let Some(organization) = self.ledger.organization_id_of(&biller.id).await? else { return Ok(()) };
        let management = self.management.as_ref().ok_or(ProvisioningError::NotConfigured)?;
        Ok(management.set_organization_deactivated(&organization, deactivated).await?)
    }
}
