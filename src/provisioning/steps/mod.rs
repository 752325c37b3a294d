//! The steps that provision a biller. What exists already is kept, what is missing is created, and the last step activates the
//! biller.

mod activation;
mod import_batches;
mod import_probe;
mod organization;
mod resources;

pub(super) use organization::organization_tag;
pub(super) use resources::{Resource, ResourceIds, USER_ID_CLAIM};

use super::jobs::{LeasedJob, Step, StopReason};
use super::sync::settings::pool_settings;
use super::{Provisioning, mechanisms};
use crate::directory::Biller;
use crate::secureauth::management::{Management, PoolSettings};
use resources::ResourceSpec;
use signpost_core::{Purpose, paths};

impl Provisioning {
    pub(in crate::provisioning) async fn provision(
        &self,
        management: &Management,
        job: &mut LeasedJob,
        biller: &Biller,
    ) -> Result<(), StopReason> {
        let ids = ResourceIds::of(&biller.slug, job);
        let issuer = self.ensure_organization(management, job, biller, &ids).await?;
        let secret = self.ensure_client_secret(job, biller, &ids).await?;
        let opened = self.keys.open::<String>(Purpose::Storage, biller.id.as_str(), &secret);
        let opened = opened
            .map_err(|_| StopReason::Failed("the client secret cannot be opened: its key was removed".to_owned()))?;
        let url = |path: &str| self.public_url.join(path).unwrap_or_else(|_| self.public_url.clone());
        let spec = ResourceSpec {
            management,
            ids: &ids,
            // Unlike a settings sync, this also clears the mechanisms of an SSO pool.
            pool: PoolSettings { mechanisms: Some(mechanisms(job.mode)), ..pool_settings(biller, job.mode) },
            secret: &opened,
            redirect_uri: url(&paths::callback(&biller.slug)),
            post_logout_redirect_uri: url(paths::SIGNED_OUT),
            backchannel_logout_uri: url(&paths::backchannel_logout(&biller.slug)),
        };
        for resource in Resource::ALL {
            self.ensure_resource(job, &spec, resource).await?;
        }
        self.import_users(management, job, &ids.pool).await?;
        self.verify_import(management, job, &ids.pool).await?;
        self.activate(job, biller, &ids, issuer, secret).await
    }

    /// Returns the recorded step of this kind, if there is one.
    async fn step(&self, job: &LeasedJob, kind: &str) -> Result<Option<Step>, StopReason> {
        Ok(self.ledger.steps(&job.id).await?.into_iter().find(|step| step.kind == kind))
    }
}
