//! What a job makes: pool, connection, login client and claim, each under an exact id of its own.

use url::Url;

use super::ledger::Job;
use crate::secureauth::management::{CallError, Management, NewClient, NewPool, PoolChange};
use signpost_core::Slug;

/// The claim that carries our user id.
pub(super) const USER_ID_CLAIM: &str = "signpost_user_id";

/// The ids of everything a job makes.
pub(super) struct Ids {
    pub organization: String,
    pub pool: String,
    pub connection: String,
    pub client: String,
    pub claim: String,
}

impl Ids {
    /// All but the organization's hold a part of the job's id that nobody can guess: what is there under one of them was made
    /// by this job, and none is ever used again.
    pub fn of(slug: &Slug, job: &Job) -> Self {
        let own = job.id.rsplit('-').next().unwrap_or_default();
        Self {
            organization: slug.to_string(),
            pool: format!("{slug}-{own}"),
            connection: format!("{slug}-{own}-pool"),
            client: format!("{slug}-{own}-signpost"),
            claim: format!("{slug}-{own}-user-id"),
        }
    }

    pub fn thing(&self, thing: Thing) -> &str {
        match thing {
            Thing::Pool => &self.pool,
            Thing::Connection => &self.connection,
            Thing::Client => &self.client,
            Thing::Claim => &self.claim,
        }
    }
}

/// Things that a job makes under ids of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Pool,
    Connection,
    Client,
    Claim,
}

impl Thing {
    pub const ALL: [Self; 4] = [Self::Pool, Self::Connection, Self::Client, Self::Claim];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Connection => "connection",
            Self::Client => "client",
            Self::Claim => "claim",
        }
    }

    pub async fn is_there(self, management: &Management, ids: &Ids) -> Result<bool, CallError> {
        let id = ids.thing(self);
        match self {
            Self::Pool => Ok(management.pool(id).await?.is_some()),
            Self::Connection => management.has_connection(&ids.organization, id).await,
            Self::Client => management.has_client(id).await,
            Self::Claim => management.has_claim(&ids.organization, id).await,
        }
    }
}

/// What is needed to make them.
pub(super) struct Making<'a> {
    pub management: &'a Management,
    pub ids: &'a Ids,
    pub pool: PoolChange<'a>,
    pub secret: &'a str,
    pub redirect_uri: Url,
    pub signed_out: Url,
    pub backchannel_logout: Url,
}

impl Making<'_> {
    pub async fn create(&self, thing: Thing) -> Result<(), CallError> {
        let (management, id, organization) = (self.management, self.ids.thing(thing), self.ids.organization.as_str());
        match thing {
            Thing::Pool => management.create_pool(&NewPool { id, organization, settings: self.pool }).await.map(drop),
            Thing::Connection => management.create_connection(organization, id, &self.ids.pool).await,
            Thing::Client => {
                let new = NewClient {
                    organization,
                    client_id: id,
                    name: self.pool.name,
                    redirect_uri: &self.redirect_uri,
                    signed_out: &self.signed_out,
                    backchannel_logout: &self.backchannel_logout,
                };
                management.create_client(&new, self.secret).await
            }
            Thing::Claim => management.create_user_id_claim(organization, id, USER_ID_CLAIM).await,
        }
    }
}
