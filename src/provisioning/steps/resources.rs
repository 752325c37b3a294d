//! Pool, connection, login client and claim. A job creates each under an exact id of its own.

use url::Url;

use crate::directory::Biller;
use crate::provisioning::Provisioning;
use crate::provisioning::jobs::{Job, LeasedJob, Step, StepState, StopReason, fail_or_retry, retry_later};
use crate::secureauth::management::{CallError, Management, NewClient, NewPool, PoolSettings};
use signpost_core::{Purpose, Slug};

/// The ID token claim with Signpost's user id.
pub(in crate::provisioning) const USER_ID_CLAIM: &str = "signpost_user_id";

/// The ids of everything that a job creates.
pub(in crate::provisioning) struct ResourceIds {
    pub organization: String,
    pub pool: String,
    pub connection: String,
    pub client: String,
    pub claim: String,
}

impl ResourceIds {
    /// Every id but the organization's holds an unguessable part of the job's id. So an object under one of them was created by
    /// this job, and no id is ever reused.
    pub(in crate::provisioning) fn of(slug: &Slug, job: &Job) -> Self {
        let suffix = job.id.rsplit('-').next().unwrap_or_default();
        Self {
            organization: slug.to_string(),
            pool: format!("{slug}-{suffix}"),
            connection: format!("{slug}-{suffix}-pool"),
            client: format!("{slug}-{suffix}-signpost"),
            claim: format!("{slug}-{suffix}-user-id"),
        }
    }

    fn resource_id(&self, resource: Resource) -> &str {
        match resource {
            Resource::Pool => &self.pool,
            Resource::Connection => &self.connection,
            Resource::Client => &self.client,
            Resource::Claim => &self.claim,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provisioning) enum Resource {
    Pool,
    Connection,
    Client,
    Claim,
}

impl Resource {
    pub(in crate::provisioning) const ALL: [Self; 4] = [Self::Pool, Self::Connection, Self::Client, Self::Claim];

    pub(in crate::provisioning) fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Connection => "connection",
            Self::Client => "client",
            Self::Claim => "claim",
        }
    }

    pub(in crate::provisioning) async fn exists(
        self,
        management: &Management,
        ids: &ResourceIds,
    ) -> Result<bool, CallError> {
        let id = ids.resource_id(self);
        match self {
            Self::Pool => Ok(management.pool(id).await?.is_some()),
            Self::Connection => management.has_connection(&ids.organization, id).await,
            Self::Client => management.has_client(id).await,
            Self::Claim => management.has_claim(&ids.organization, id).await,
        }
    }
}

pub(super) struct ResourceSpec<'a> {
    pub management: &'a Management,
    pub ids: &'a ResourceIds,
    pub pool: PoolSettings<'a>,
    pub secret: &'a str,
    pub redirect_uri: Url,
    pub post_logout_redirect_uri: Url,
    pub backchannel_logout_uri: Url,
}

impl ResourceSpec<'_> {
    async fn create(&self, resource: Resource) -> Result<(), CallError> {
        let (management, id, organization) =
            (self.management, self.ids.resource_id(resource), self.ids.organization.as_str());
        match resource {
            Resource::Pool => {
                management.create_pool(&NewPool { id, organization, settings: self.pool }).await.map(drop)
            }
            Resource::Connection => management.create_connection(organization, id, &self.ids.pool).await,
            Resource::Client => {
                let new = NewClient {
                    organization,
                    client_id: id,
                    name: self.pool.name,
                    redirect_uri: &self.redirect_uri,
                    post_logout_redirect_uri: &self.post_logout_redirect_uri,
                    backchannel_logout_uri: &self.backchannel_logout_uri,
                };
                management.create_client(&new, self.secret).await
            }
            Resource::Claim => management.create_user_id_claim(organization, id, USER_ID_CLAIM).await,
        }
    }
}

impl Provisioning {
    /// Creates one resource: records the intent, makes the call, records the confirmation. After a crash in between, a lookup by
    /// the exact id tells whether the call succeeded.
    pub(super) async fn ensure_resource(
        &self,
        job: &LeasedJob,
        spec: &ResourceSpec<'_>,
        resource: Resource,
    ) -> Result<(), StopReason> {
        self.ledger.renew_lease(job).await?;
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
        self.ledger.save_step(job, &step).await?;
        self.failpoints.hit(kind, "intended");
        if !resource.exists(spec.management, spec.ids).await.map_err(retry_later)? {
            match spec.create(resource).await {
                Ok(()) => {}
                Err(error)
                    if error.is(409) && resource.exists(spec.management, spec.ids).await.map_err(retry_later)? => {}
                Err(error) => return Err(fail_or_retry(&error)),
            }
        }
        self.failpoints.hit(kind, "created");
        step.state = StepState::Confirmed;
        self.ledger.save_step(job, &step).await?;
        self.failpoints.hit(kind, "confirmed");
        Ok(())
    }

    /// Generates the login client's secret. It is sealed and recorded before SecureAuth receives it.
    pub(super) async fn ensure_client_secret(
        &self,
        job: &LeasedJob,
        biller: &Biller,
        ids: &ResourceIds,
    ) -> Result<String, StopReason> {
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
        self.ledger.save_step(job, &step).await?;
        Ok(sealed)
    }
}
