//! Rollback: deletes what the job created or may have created, in reverse order. Objects that existed before the job stay.

use super::jobs::{JobState, LeasedJob, Step, StepState, StopReason, retry_later};
use super::steps::{Resource, ResourceIds, organization_tag};
use super::{Provisioning, ProvisioningError};
use crate::audit::{Action, AuditEvent};
use crate::directory::Biller;
use crate::secureauth::management::{CallError, Management};
use signpost_core::decision::CiamState;

/// The reverse of the order of creation.
const ROLLBACK_ORDER: [&str; 5] = ["claim", "client", "connection", "pool", "organization"];

impl Provisioning {
    pub(super) async fn roll_back(
        &self,
        management: &Management,
        job: &LeasedJob,
        biller: &Biller,
    ) -> Result<(), StopReason> {
        let ids = ResourceIds::of(&biller.slug, job);
        let steps = self.ledger.steps(&job.id).await?;
        let (mut retryable, mut leftovers) = (Vec::new(), Vec::new());
        // SecureAuth may reject a deletion because another object still refers to it: it is retried after the others.
        for is_last in [false, true] {
            for kind in ROLLBACK_ORDER {
                let Some(step) = steps.iter().find(|step| step.kind == kind) else { continue };
                if is_last && !retryable.contains(&kind) {
                    continue;
                }
                self.ledger.renew_lease(job).await?;
                self.failpoints.hit(kind, "deleting");
                match self.roll_back_step(management, job, &ids, step).await {
                    Ok(()) => retryable.retain(|retryable| *retryable != kind),
                    Err(error) if error.is_final() && is_last && is_absent(management, &ids, kind).await? => {
                        retryable.retain(|retryable| *retryable != kind);
                    }
                    Err(error) if error.is_final() && is_last => {
                        leftovers.push(format!("{kind} {} ({error})", step.object_id));
                    }
                    Err(error) if error.is_final() => retryable.push(kind),
                    Err(error) => return Err(StopReason::RetryLater(ProvisioningError::Call(error))),
                }
                self.failpoints.hit(kind, "deleted");
                if step.state != StepState::Existing && !retryable.contains(&kind) {
                    self.ledger.save_step(job, &Step { state: StepState::RolledBack, ..step.clone() }).await?;
                    self.failpoints.hit(kind, "recorded");
                }
            }
        }
        let mut tx = self.db.begin().await?;
        let (state, message) = if leftovers.is_empty() {
            (JobState::RolledBack, job.message.clone())
        } else {
            (JobState::NeedsAttention, format!("Delete these at SecureAuth: {}", leftovers.join("; ")))
        };
        self.ledger.set_state(&mut tx, job, state, &message).await?;
        let (actor, event) =
            (self.system_actor(), AuditEvent::new(Action::CiamRolledBack).about(&job.id).with("state", state.as_str()));
        let changed = self.directory.update_biller_in(&mut tx, &biller.slug, (&actor, event), |biller| {
            biller.state = CiamState::Legacy;
            biller.active_from = None;
        });
        changed.await.map_err(ProvisioningError::from)?;
        self.failpoints.hit("rollback", "written");
        tx.commit().await?;
        self.failpoints.hit("rollback", "done");
        tracing::warn!(job = job.id, biller = %biller.slug, state = state.as_str(), "an enablement job was rolled back");
        Ok(())
    }

    async fn roll_back_step(
        &self,
        management: &Management,
        job: &LeasedJob,
        ids: &ResourceIds,
        step: &Step,
    ) -> Result<(), CallError> {
        let id = step.object_id.as_str();
        match (step.kind.as_str(), step.state) {
            (_, StepState::Existing | StepState::RolledBack | StepState::Selected) => Ok(()),
            ("organization", StepState::Reactivated) => management.set_organization_deactivated(id, true).await,
            ("organization", StepState::Intended) => {
                // Another system may have created it meanwhile.
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

/// Whether SecureAuth deleted it together with another object.
async fn is_absent(management: &Management, ids: &ResourceIds, kind: &str) -> Result<bool, StopReason> {
    match Resource::ALL.into_iter().find(|resource| resource.as_str() == kind) {
        Some(resource) => Ok(!resource.exists(management, ids).await.map_err(retry_later)?),
        None => Ok(false),
    }
}
