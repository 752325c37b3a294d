//! What a job makes: pool, connection, login client and claim, each under an exact id of its own.

use url::Url;

use super::ledger::Job;
use crate::secureauth::management::{CallError, Management, NewClient, NewPool, PoolSettings};
use signpost_core::Slug;

/// The claim that carries our user id.
pub(super) const USER_ID_CLAIM: &str = "signpost_user_id";

/// The ids of everything a job makes.
pub(super) struct ResourceIds {
    pub organization: String,
    pub pool: String,
    pub connection: String,
    pub client: String,
    pub claim: String,
}

impl ResourceIds {
    /// All but the organization's hold a part of the job's id that nobody can guess: what is there under one of them was made
    /// by this job, and none is ever used again.
    pub(super) fn of(slug: &Slug, job: &Job) -> Self {
        let suffix = job.id.rsplit('-').next().unwrap_or_default();
        Self {
            organization: slug.to_string(),
            pool: format!("{slug}-{suffix}"),
            connection: format!("{slug}-{suffix}-pool"),
            client: format!("{slug}-{suffix}-signpost"),
            claim: format!("{slug}-{suffix}-user-id"),
        }
    }

    pub(super) fn resource_id(&self, resource: Resource) -> &str {
        match resource {
            Resource::Pool => &self.pool,
            Resource::Connection => &self.connection,
            Resource::Client => &self.client,
            Resource::Claim => &self.claim,
        }
    }
}

/// Things that a job makes under ids of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Pool,
    Connection,
    Client,
    Claim,
}

impl Resource {
    pub(super) const ALL: [Self; 4] = [Self::Pool, Self::Connection, Self::Client, Self::Claim];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Connection => "connection",
            Self::Client => "client",
            Self::Claim => "claim",
        }
    }

    pub(super) async fn exists(self, management: &Management, ids: &ResourceIds) -> Result<bool, CallError> {
        let id = ids.resource_id(self);
        match self {
            Self::Pool => Ok(management.pool(id).await?.is_some()),
            Self::Connection => management.has_connection(&ids.organization, id).await,
            Self::Client => management.has_client(id).await,
            Self::Claim => management.has_claim(&ids.organization, id).await,
        }
    }
}

/// What is needed to make them.
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
    pub(super) async fn create(&self, resource: Resource) -> Result<(), CallError> {
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
