//! The way forward: what is there is kept, what is missing is made, and at the end the routing is switched.

use super::ledger::{self, Job, JobState, Step, StepState, StopReason};
use super::resources::{Resource, ResourceIds, ResourceSpec, USER_ID_CLAIM};
use super::settings::pool_settings;
use super::worker::{fail_or_retry, retry_later};
use super::{Provisioning, ProvisioningError, SUCCESS_MESSAGE, failpoints};
use crate::audit::{Action, AuditEvent};
use crate::directory::{Biller, BindTo, ClientSecrets, OidcSettings};
use crate::secureauth::management::{Management, PoolSettings};
use signpost_core::Purpose;
use signpost_core::decision::CiamState;

impl Provisioning {
    pub(super) async fn provision(
        &self,
        management: &Management,
        job: &mut Job,
        biller: &Biller,
    ) -> Result<(), StopReason> {
        let ids = ResourceIds::of(&biller.slug, job);
        let issuer = self.ensure_organization(management, job, biller, &ids).await?;
        let secret = self.ensure_client_secret(job, biller, &ids).await?;
        let opened = self.keys.open::<String>(Purpose::Storage, biller.id.as_str(), &secret);
        let opened = opened.map_err(|_| StopReason::Failed("the client secret cannot be opened".to_owned()))?;
        let url = |path: String| self.public_url.join(&path).unwrap_or_else(|_| self.public_url.clone());
        let spec = ResourceSpec {
            management,
            ids: &ids,
            // One whose users sign in elsewhere has no means of its own.
            pool: PoolSettings { mechanisms: Some(job.mode.mechanisms()), ..pool_settings(biller, job.mode) },
            secret: &opened,
            redirect_uri: url(format!("/callback/{}", biller.slug)),
            post_logout_redirect_uri: url("/signed-out".to_owned()),
            backchannel_logout_uri: url(format!("/backchannel-logout/{}", biller.slug)),
        };
        for resource in Resource::ALL {
            self.ensure_resource(job, &spec, resource).await?;
        }
        self.import_users(management, job, &ids.pool).await?;
        self.verify_import(management, job, &ids.pool).await?;
        self.activate(job, biller, &ids, issuer, secret).await
    }

    /// Keeps, re-activates or makes the organization; answers its issuer.
    async fn ensure_organization(
        &self,
        management: &Management,
        job: &Job,
        biller: &Biller,
        ids: &ResourceIds,
    ) -> Result<String, StopReason> {
        self.renew_lease(job).await?;
        let id = ids.organization.as_str();
        let known = self.step(job, "organization").await?;
        let found = management.organization(id).await.map_err(retry_later)?;
        let step = |state| Step { kind: "organization".to_owned(), object_id: id.to_owned(), state, sealed: None };
        // What was there before stays, and stays switched off when the job is undone.
        let existing_state = |deactivated| if deactivated { StepState::Reactivated } else { StepState::Existing };
        failpoints::hit("organization", "checked");
        let organization = match (known.map(|step| step.state), found) {
            (None, Some(found)) => {
                self.save_step(job, &step(existing_state(found.deactivated))).await?;
                found
            }
            (Some(StepState::Intended), Some(found)) if found.description != organization_tag(job) => {
                // Somebody else made it between our look and our call.
                self.save_step(job, &step(existing_state(found.deactivated))).await?;
                found
            }
            (Some(StepState::Intended), Some(found)) => {
                self.save_step(job, &step(StepState::Confirmed)).await?;
                found
            }
            (Some(_), Some(found)) => found,
            (Some(StepState::Existing | StepState::Reactivated | StepState::Confirmed), None) => {
                return Err(StopReason::Failed(format!("the organization {id} is gone")));
            }
            (_, None) => {
                self.save_step(job, &step(StepState::Intended)).await?;
                failpoints::hit("organization", "intended");
                match management.create_organization(id, &biller.name, &organization_tag(job)).await {
                    Ok(created) => {
                        failpoints::hit("organization", "created");
                        self.save_step(job, &step(StepState::Confirmed)).await?;
                        created
                    }
                    // Made by a call whose answer was lost, or by somebody else: the next look tells.
                    Err(error) if error.is(409) => return Err(retry_later(error)),
                    Err(error) => return Err(fail_or_retry(&error)),
                }
            }
        };
        failpoints::hit("organization", "confirmed");
        if organization.deactivated {
            management.set_organization_deactivated(id, false).await.map_err(|error| fail_or_retry(&error))?;
        }
        organization.issuer_url.ok_or_else(|| StopReason::Failed(format!("the organization {id} has no issuer")))
    }

    /// Makes one resource: intent first, then the call, then the confirmation. After a kill in between the exact id tells
    /// whether it is there: the ids hold a part of the job's, so what is there under one of them was made by this job.
    async fn ensure_resource(&self, job: &Job, spec: &ResourceSpec<'_>, resource: Resource) -> Result<(), StopReason> {
        self.renew_lease(job).await?;
        let (kind, id) = (resource.as_str(), spec.ids.resource_id(resource));
        let known = self.step(job, kind).await?;
        if known.as_ref().is_some_and(|step| step.state == StepState::Confirmed) {
            return Ok(());
        }
        let mut step = known.unwrap_or_else(|| Step {
            kind: kind.to_owned(),
            object_id: id.to_owned(),
            state: StepState::Intended,
            sealed: None,
        });
        self.save_step(job, &step).await?;
        failpoints::hit(kind, "intended");
        if !resource.exists(spec.management, spec.ids).await.map_err(retry_later)? {
            match spec.create(resource).await {
                Ok(()) => {}
                Err(error)
                    if error.is(409) && resource.exists(spec.management, spec.ids).await.map_err(retry_later)? => {}
                Err(error) => return Err(fail_or_retry(&error)),
            }
        }
        failpoints::hit(kind, "created");
        step.state = StepState::Confirmed;
        self.save_step(job, &step).await?;
        failpoints::hit(kind, "confirmed");
        Ok(())
    }

    /// The login client's secret, ours, sealed: in the ledger before SecureAuth knows it.
    async fn ensure_client_secret(&self, job: &Job, biller: &Biller, ids: &ResourceIds) -> Result<String, StopReason> {
        if let Some(sealed) = self.step(job, Resource::Client.as_str()).await?.and_then(|step| step.sealed) {
            return Ok(sealed);
        }
        let sealed = self.keys.seal(Purpose::Storage, biller.id.as_str(), &self.random.token::<36>());
        let step = Step {
            kind: Resource::Client.as_str().to_owned(),
            object_id: ids.client.clone(),
            state: StepState::Intended,
            sealed: Some(sealed.clone()),
        };
        self.save_step(job, &step).await?;
        Ok(sealed)
    }

    /// Switches the routing and ends the job, in one transaction.
    async fn activate(
        &self,
        job: &Job,
        biller: &Biller,
        ids: &ResourceIds,
        issuer: String,
        sealed_secret: String,
    ) -> Result<(), StopReason> {
        let mut candidate = biller.clone();
        candidate.settings.oidc = Some(OidcSettings {
            bind_claim: USER_ID_CLAIM.to_owned(),
            bind_to: BindTo::UserId,
            ..OidcSettings::new(issuer, ids.client.clone())
        });
        candidate.client_secrets = ClientSecrets { current: Some(sealed_secret), second: None };
        self.require_ready(job, &candidate).await?;
        failpoints::hit("activation", "ready");
        self.renew_lease(job).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::Active, SUCCESS_MESSAGE).await?;
        let (actor, event) = (self.system_actor(), AuditEvent::new(Action::CiamActivated).about(&job.id));
        let changed = self.directory.update_biller_in(&mut tx, &biller.slug, (&actor, event), |biller| {
            biller.state = CiamState::Active;
            biller.active_from = Some(now);
            biller.settings.passwords = job.passwords;
            biller.settings.oidc = candidate.settings.oidc;
            biller.client_secrets = candidate.client_secrets;
        });
        changed.await.map_err(ProvisioningError::from)?;
        failpoints::hit("activation", "written");
        tx.commit().await?;
        failpoints::hit("activation", "done");
        tracing::info!(job = job.id, biller = %biller.slug, "a biller was enabled");
        Ok(())
    }

    /// The step of the ledger, if it was begun.
    async fn step(&self, job: &Job, kind: &str) -> Result<Option<Step>, StopReason> {
        Ok(ledger::steps(&self.db, &job.id).await?.into_iter().find(|step| step.kind == kind))
    }
}

/// What a job leaves on the organization it makes.
pub(super) fn organization_tag(job: &Job) -> String {
    format!("Signpost {}", job.id)
}
