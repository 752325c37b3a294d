//! The last step: the biller becomes active.

use super::ResourceIds;
use super::resources::USER_ID_CLAIM;
use crate::audit::{Action, AuditEvent};
use crate::directory::{Biller, BindTo, ClientSecrets, OidcSettings};
use crate::provisioning::jobs::{JobState, LeasedJob, SUCCESS_MESSAGE, StopReason};
use crate::provisioning::{Provisioning, ProvisioningError};
use signpost_core::decision::CiamState;

impl Provisioning {
    /// Activates the biller and ends the job, in one transaction.
    pub(super) async fn activate(
        &self,
        job: &LeasedJob,
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
        self.failpoints.hit("activation", "ready");
        self.ledger.renew_lease(job).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        self.ledger.set_state(&mut tx, job, JobState::Active, SUCCESS_MESSAGE).await?;
        let (actor, event) = (self.system_actor(), AuditEvent::new(Action::CiamActivated).about(&job.id));
        let changed = self.directory.update_biller_in(&mut tx, &biller.slug, (&actor, event), |biller| {
            biller.state = CiamState::Active;
            biller.active_from = Some(now);
            biller.ciam_mode = Some(job.mode);
            biller.settings.passwords = job.passwords;
            biller.settings.oidc = candidate.settings.oidc;
            biller.client_secrets = candidate.client_secrets;
        });
        changed.await.map_err(ProvisioningError::from)?;
        self.failpoints.hit("activation", "written");
        tx.commit().await?;
        self.failpoints.hit("activation", "done");
        tracing::info!("a biller is active");
        Ok(())
    }
}
