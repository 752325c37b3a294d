//! The organization of a biller.

use super::ResourceIds;
use crate::directory::Biller;
use crate::provisioning::Provisioning;
use crate::provisioning::jobs::{Job, LeasedJob, Step, StepState, StopReason, fail_or_retry, retry_later};
use crate::secureauth::management::Management;

/// The description of an organization that a job creates. It tells whether this job created it.
pub(in crate::provisioning) fn organization_tag(job: &Job) -> String {
    format!("Signpost {}", job.id)
}

impl Provisioning {
    /// Keeps, reactivates or creates the organization. Returns its issuer.
    pub(super) async fn ensure_organization(
        &self,
        management: &Management,
        job: &LeasedJob,
        biller: &Biller,
        ids: &ResourceIds,
    ) -> Result<String, StopReason> {
        self.ledger.renew_lease(job).await?;
        let id = ids.organization.as_str();
        let known = self.step(job, "organization").await?;
        let found = management.organization(id).await.map_err(retry_later)?;
        let step = |state| Step { kind: "organization".to_owned(), object_id: id.to_owned(), state, sealed: None };
        // An organization that existed before stays, and a rollback deactivates it again.
        let existing_state = |deactivated| if deactivated { StepState::Reactivated } else { StepState::Existing };
        self.failpoints.hit("organization", "checked");
        let organization = match (known.map(|step| step.state), found) {
            (None, Some(found)) => {
                self.ledger.save_step(job, &step(existing_state(found.deactivated))).await?;
                found
            }
            (Some(StepState::Intended), Some(found)) if found.description != organization_tag(job) => {
                // Another system created it between the lookup and the call.
                self.ledger.save_step(job, &step(existing_state(found.deactivated))).await?;
                found
            }
            (Some(StepState::Intended), Some(found)) => {
                self.ledger.save_step(job, &step(StepState::Confirmed)).await?;
                found
            }
            (Some(_), Some(found)) => found,
            (Some(StepState::Existing | StepState::Reactivated | StepState::Confirmed), None) => {
                return Err(StopReason::Failed(format!("the organization {id} no longer exists")));
            }
            (_, None) => {
                self.ledger.save_step(job, &step(StepState::Intended)).await?;
                self.failpoints.hit("organization", "intended");
                match management.create_organization(id, &biller.name, &organization_tag(job)).await {
                    Ok(created) => {
                        self.failpoints.hit("organization", "created");
                        self.ledger.save_step(job, &step(StepState::Confirmed)).await?;
                        created
                    }
                    // Created by a call whose response was lost, or by another system: the next attempt finds out.
                    Err(error) if error.is(409) => return Err(retry_later(error)),
                    Err(error) => return Err(fail_or_retry(&error)),
                }
            }
        };
        self.failpoints.hit("organization", "confirmed");
        if organization.deactivated {
            management.set_organization_deactivated(id, false).await.map_err(|error| fail_or_retry(&error))?;
        }
        organization.issuer_url.ok_or_else(|| StopReason::Failed(format!("the organization {id} has no issuer")))
    }
}
