//! The way back: what the job has made, or may have made, goes, in reverse; what was there before stays as it was.

use super::ledger::{self, Job, JobState, Step, StepState, StopReason};
use super::resources::{Resource, ResourceIds};
use super::steps::organization_tag;
use super::worker::retry_later;
use super::{Provisioning, ProvisioningError, failpoints};
use crate::audit::{Action, AuditEvent};
use crate::directory::Biller;
use crate::secureauth::management::{CallError, Management};
use signpost_core::decision::CiamState;

/// The reverse of the order in which things are made.
const ROLLBACK_ORDER: [&str; 5] = ["claim", "client", "connection", "pool", "organization"];

impl Provisioning {
    pub(super) async fn roll_back(
        &self,
        management: &Management,
        job: &Job,
        biller: &Biller,
    ) -> Result<(), StopReason> {
        let ids = ResourceIds::of(&biller.slug, job);
        let steps = ledger::steps(&self.db, &job.id).await?;
        let (mut retryable, mut leftovers) = (Vec::new(), Vec::new());
        // What is refused may hang on to something that goes later: it is tried again when the rest is gone.
        for is_last in [false, true] {
            for kind in ROLLBACK_ORDER {
                let Some(step) = steps.iter().find(|step| step.kind == kind) else { continue };
                if is_last && !retryable.contains(&kind) {
                    continue;
                }
                self.renew_lease(job).await?;
                failpoints::hit(kind, "deleting");
                match self.roll_back_step(management, job, &ids, step).await {
                    Ok(()) => retryable.retain(|retryable| *retryable != kind),
                    Err(CallError::Rejected(_)) if is_last && is_absent(management, &ids, kind).await? => {
                        retryable.retain(|retryable| *retryable != kind);
                    }
                    Err(CallError::Rejected(rejection)) if is_last => {
                        leftovers.push(format!("{kind} {} ({rejection})", step.object_id));
                    }
                    Err(CallError::Rejected(_)) => retryable.push(kind),
                    Err(error) => return Err(StopReason::RetryLater(ProvisioningError::Call(error))),
                }
                failpoints::hit(kind, "deleted");
                if step.state != StepState::Existing && !retryable.contains(&kind) {
                    self.save_step(job, &Step { state: StepState::RolledBack, ..step.clone() }).await?;
                    failpoints::hit(kind, "recorded");
                }
            }
        }
        let mut tx = self.db.begin().await?;
        let (state, message) = if leftovers.is_empty() {
            (JobState::RolledBack, job.message.clone())
        } else {
            (JobState::NeedsAttention, format!("Left at SecureAuth: {}", leftovers.join("; ")))
        };
        self.set_state(&mut tx, job, state, &message).await?;
        let (actor, event) =
            (self.system_actor(), AuditEvent::new(Action::CiamRolledBack).about(&job.id).with("state", state.as_str()));
        let changed = self.directory.update_biller_in(&mut tx, &biller.slug, (&actor, event), |biller| {
            biller.state = CiamState::Legacy;
            biller.active_from = None;
        });
        changed.await.map_err(ProvisioningError::from)?;
        failpoints::hit("rollback", "written");
        tx.commit().await?;
        failpoints::hit("rollback", "done");
        tracing::warn!(job = job.id, biller = %biller.slug, state = state.as_str(), "an enablement was rolled back");
        Ok(())
    }

    async fn roll_back_step(
        &self,
        management: &Management,
        job: &Job,
        ids: &ResourceIds,
        step: &Step,
    ) -> Result<(), CallError> {
        let id = step.object_id.as_str();
        match (step.kind.as_str(), step.state) {
            (_, StepState::Existing | StepState::RolledBack) => Ok(()),
            ("organization", StepState::Reactivated) => management.set_organization_deactivated(id, true).await,
            ("organization", StepState::Intended) => {
                // Only if it is ours: somebody else may have made it meanwhile.
                let found = management.organization(id).await?;
                let is_ours = found.is_some_and(|found| found.description == organization_tag(job));
                if is_ours { management.delete_organization(id).await } else { Ok(()) }
            }
            ("organization", _) => management.delete_organization(id).await,
            ("pool", _) => management.delete_pool(id).await,
            ("connection", _) => management.delete_connection(&ids.organization, id).await,
            ("client", _) => management.delete_client(id).await,
            ("claim", _) => management.delete_claim(id).await,
            _ => Ok(()),
        }
    }
}

/// Whether it went with something that it belonged to.
async fn is_absent(management: &Management, ids: &ResourceIds, kind: &str) -> Result<bool, StopReason> {
    match Resource::ALL.into_iter().find(|resource| resource.as_str() == kind) {
        Some(resource) => Ok(!resource.exists(management, ids).await.map_err(retry_later)?),
        None => Ok(false),
    }
}
