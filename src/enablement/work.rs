//! The worker: takes a job up, goes forward step by step, and switches the routing at the end.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use url::Url;

use super::ledger::{self, Job, JobState, Step, StepState, Stop};
use super::users::{self, Mover};
use super::{CiamMode, EnableError, Enablement, FAILURE, SUCCESS};
use crate::decision::CiamState;
use crate::directory::{Biller, BindTo, OidcSettings, TokenAuth};
use crate::kernel::{Purpose, Slug};
use crate::secureauth::Wishes;
use crate::secureauth::management::{CallError, Management, NewClient};

/// Users a request, at most: the vendor's figure.
const BATCH: usize = 100;
/// Requests at once: the vendor's figure.
const PARALLEL: usize = 8;
/// How often a worker without work looks for some.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// Users asked for by their exact id at the end.
const LOOKED_UP: usize = 20;
/// The claim that carries our user id.
const USER_ID_CLAIM: &str = "signpost_user_id";

/// The ids of everything a job makes.
pub(super) struct Ids {
    pub organization: String,
    pub pool: String,
    pub connection: String,
    pub client: String,
    pub claim: String,
}

impl Ids {
    /// The generation is part of them: what an earlier run has used is never used again.
    pub fn of(slug: &Slug, generation: i64) -> Self {
        Self {
            organization: slug.to_string(),
            pool: format!("{slug}-g{generation}"),
            connection: format!("{slug}-g{generation}-pool"),
            client: format!("{slug}-g{generation}-signpost"),
            claim: format!("{slug}-g{generation}-user-id"),
        }
    }
}

impl Enablement {
    /// Takes up one job, if there is one that nobody is at, and goes on with it as far as it goes. Answers whether there was.
    ///
    /// # Errors
    /// The database failed.
    pub async fn work(&self) -> Result<bool, EnableError> {
        let Some(management) = &self.management else { return Ok(false) };
        let Some(mut job) = ledger::take(&self.db, self.clock.now(), self.lease).await? else { return Ok(false) };
        let owned = job.clone();
        let worked = tokio::select! {
            worked = self.advance(management, &mut job) => worked,
            lost = self.keep_lease(owned) => Err(lost),
        };
        match worked {
            Ok(()) | Err(Stop::Lost) => {}
            Err(stop) => tracing::warn!(job = job.id, error = %stop, "a job goes on later"),
        }
        Ok(true)
    }

    /// Takes up jobs as they come, for ever.
    pub async fn keep_working(&self) {
        loop {
            match self.work().await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(POLL_EVERY).await,
                Err(error) => {
                    tracing::warn!(error = %error, "jobs cannot be looked for");
                    tokio::time::sleep(POLL_EVERY).await;
                }
            }
        }
    }

    /// Renews the lease while the work goes on; ends when the job has another owner.
    async fn keep_lease(&self, job: Job) -> Stop {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            // Turning back is noticed between two steps; a database that fails for a moment is no reason to stop.
            if let Err(Stop::Lost) = self.renew(&job).await {
                return Stop::Lost;
            }
        }
    }

    async fn advance(&self, management: &Management, job: &mut Job) -> Result<(), Stop> {
        let billers = self.directory.billers().await.map_err(EnableError::from)?;
        let Some(biller) = billers.by_id(&job.biller_id).cloned() else {
            return self.give_up(job, "the biller is gone").await;
        };
        if job.state == JobState::Running {
            match self.forward(management, job, &biller).await {
                Ok(()) => return Ok(()),
                Err(Stop::TurnedBack) => self.turn(job, "The setup was stopped.").await?,
                Err(Stop::Failed(why)) => {
                    tracing::error!(job = job.id, biller = %biller.slug, why, "a biller could not be enabled");
                    self.turn(job, FAILURE).await?;
                }
                Err(other) => return Err(other),
            }
        }
        self.back(management, job, &biller).await
    }

    async fn turn(&self, job: &mut Job, message: &str) -> Result<(), Stop> {
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::RollingBack, message).await?;
        tx.commit().await?;
        job.state = JobState::RollingBack;
        message.clone_into(&mut job.message);
        Ok(())
    }

    pub(super) async fn give_up(&self, job: &Job, message: &str) -> Result<(), Stop> {
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::NeedsAttention, message).await?;
        Ok(tx.commit().await?)
    }

    async fn forward(&self, management: &Management, job: &mut Job, biller: &Biller) -> Result<(), Stop> {
        let ids = Ids::of(&biller.slug, job.generation);
        let issuer = self.organization(management, job, biller, &ids).await?;
        let secret = self.client_secret(job, biller, &ids).await?;
        let opened = self.keys.open::<String>(Purpose::Storage, biller.id.as_str(), &secret);
        let opened = opened.map_err(|_| Stop::Failed("the client secret cannot be opened".to_owned()))?;
        let address = |path: String| self.public_url.join(&path).unwrap_or_else(|_| self.public_url.clone());
        let making = Making {
            management,
            ids: &ids,
            name: &biller.name,
            mode: job.mode,
            secret: &opened,
            redirect_uri: address(format!("/callback/{}", biller.slug)),
            signed_out: address("/signed-out".to_owned()),
            backchannel_logout: address(format!("/backchannel-logout/{}", biller.slug)),
        };
        for thing in [Thing::Pool, Thing::Connection, Thing::Client, Thing::Claim] {
            self.make(job, &making, thing).await?;
        }
        self.send_users(management, job, &ids.pool).await?;
        self.send_changed(management, job, &ids.pool).await?;
        self.verify(management, job, &ids.pool).await?;
        self.activate(job, biller, &ids, issuer, secret).await
    }

    /// Keeps, re-activates or makes the organization; answers its issuer.
    async fn organization(
        &self,
        management: &Management,
        job: &Job,
        biller: &Biller,
        ids: &Ids,
    ) -> Result<String, Stop> {
        self.renew(job).await?;
        let id = ids.organization.as_str();
        let known = self.step(job, "organization").await?;
        let found = management.organization(id).await.map_err(later)?;
        let step = |state| Step { kind: "organization".to_owned(), object_id: id.to_owned(), state, sealed: None };
        let organization = match (known.map(|step| step.state), found) {
            (None, Some(found)) => {
                let state = if found.deactivated { StepState::Reactivated } else { StepState::Kept };
                self.put_step(job, &step(state)).await?;
                found
            }
            (Some(StepState::Intended), Some(found)) if found.description != tag(job) => {
                // Somebody else made it between our look and our call.
                self.put_step(job, &step(StepState::Kept)).await?;
                found
            }
            (Some(StepState::Intended), Some(found)) => {
                self.put_step(job, &step(StepState::Confirmed)).await?;
                found
            }
            (Some(_), Some(found)) => found,
            (Some(StepState::Kept | StepState::Reactivated | StepState::Confirmed), None) => {
                return Err(Stop::Failed(format!("the organization {id} is gone")));
            }
            (_, None) => {
                self.put_step(job, &step(StepState::Intended)).await?;
                match management.create_organization(id, &biller.name, &tag(job)).await {
                    Ok(made) => {
                        self.put_step(job, &step(StepState::Confirmed)).await?;
                        made
                    }
                    // Made by a call whose answer was lost, or by somebody else: the next look tells.
                    Err(error) if error.is(409) => return Err(later(error)),
                    Err(error) => return Err(failed(&error)),
                }
            }
        };
        if organization.deactivated {
            management.deactivate_organization(id, false).await.map_err(|error| failed(&error))?;
        }
        organization.issuer_url.ok_or_else(|| Stop::Failed(format!("the organization {id} has no issuer")))
    }

    /// Makes one thing: intent first, then the call, then the confirmation. After a kill in between the exact id tells
    /// whether it is there: the ids hold the job's generation, so what is there under one of them was made by this job.
    async fn make(&self, job: &Job, making: &Making<'_>, thing: Thing) -> Result<(), Stop> {
        self.renew(job).await?;
        let (kind, id) = (thing.as_str(), making.id(thing));
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
        self.put_step(job, &step).await?;
        if !making.is_there(thing).await.map_err(later)? {
            match making.create(thing).await {
                Ok(()) => {}
                Err(error) if error.is(409) && making.is_there(thing).await.map_err(later)? => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        step.state = StepState::Confirmed;
        self.put_step(job, &step).await
    }

    /// The login client's secret, ours, sealed: in the ledger before SecureAuth knows it.
    async fn client_secret(&self, job: &Job, biller: &Biller, ids: &Ids) -> Result<String, Stop> {
        if let Some(sealed) = self.step(job, Thing::Client.as_str()).await?.and_then(|step| step.sealed) {
            return Ok(sealed);
        }
        let sealed = self.keys.seal(Purpose::Storage, biller.id.as_str(), &self.random.token::<36>());
        let step = Step {
            kind: Thing::Client.as_str().to_owned(),
            object_id: ids.client.clone(),
            state: StepState::Intended,
            sealed: Some(sealed.clone()),
        };
        self.put_step(job, &step).await?;
        Ok(sealed)
    }

    /// Sends all users, a hundred a request, eight requests at once. How far it came is written after each round.
    async fn send_users(&self, management: &Management, job: &mut Job, pool: &str) -> Result<(), Stop> {
        let round = i64::try_from(BATCH * PARALLEL).unwrap_or(800);
        loop {
            self.renew(job).await?;
            let users = users::page(&self.db, &job.biller_id, &job.users_after, round).await?;
            let Some(last) = users.last() else { return Ok(()) };
            self.send(management, job, pool, &users).await?;
            job.users_after.clone_from(&last.id);
            job.done += i64::try_from(users.len()).unwrap_or(0);
            self.users_done(job, "Users are being created in SecureAuth.").await?;
        }
    }

    /// Sends users who were made or changed since the job began.
    async fn send_changed(&self, management: &Management, job: &Job, pool: &str) -> Result<(), Stop> {
        let round = i64::try_from(BATCH * PARALLEL).unwrap_or(800);
        let mut after = String::new();
        loop {
            self.renew(job).await?;
            let users = users::changed(&self.db, &job.biller_id, &after, round, job.created_at).await?;
            let Some(last) = users.last() else { return Ok(()) };
            self.send(management, job, pool, &users).await?;
            after.clone_from(&last.id);
        }
    }

    async fn send(&self, management: &Management, job: &Job, pool: &str, users: &[Mover]) -> Result<(), Stop> {
        let dumps = users.chunks(BATCH).map(|part| self.dump(job.passwords, management.tenant(), pool, part));
        let mut calls: FuturesUnordered<_> = dumps.map(|dump| management.import(dump)).collect();
        while let Some(sent) = calls.next().await {
            sent.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// As many users there as here, and some of them by their exact id.
    async fn verify(&self, management: &Management, job: &Job, pool: &str) -> Result<(), Stop> {
        let expected = users::count(&self.db, &job.biller_id).await?;
        let found = management.pool(pool).await.map_err(later)?.and_then(|pool| pool.number_of_users);
        if found.is_some_and(|found| found != expected) {
            let found = found.unwrap_or_default();
            return Err(Stop::Failed(format!("{found} users at SecureAuth, but {expected} here")));
        }
        let looked_up = i64::try_from(LOOKED_UP).unwrap_or(20);
        for user in users::page(&self.db, &job.biller_id, "", looked_up).await? {
            if !management.has_user(pool, &user.id).await.map_err(later)? {
                return Err(Stop::Failed(format!("the user {} is not at SecureAuth", user.id)));
            }
        }
        Ok(())
    }

    /// Switches the routing and ends the job, in one transaction.
    async fn activate(
        &self,
        job: &Job,
        biller: &Biller,
        ids: &Ids,
        issuer: String,
        sealed_secret: String,
    ) -> Result<(), Stop> {
        let oidc = OidcSettings {
            issuer,
            client_id: ids.client.clone(),
            client_secret: Some(sealed_secret),
            second_client_secret: None,
            token_auth: TokenAuth::ClientSecretBasic,
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            bind_claim: USER_ID_CLAIM.to_owned(),
            bind_to: BindTo::UserId,
            id_token_algs: vec!["RS256".to_owned()],
            extra_hosts: Vec::new(),
            wishes: Wishes::default(),
        };
        self.hold_unless_ready(job, biller, &oidc).await?;
        self.renew(job).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::Active, SUCCESS).await?;
        let changed = self.directory.change_biller_in(&mut tx, &biller.slug, now, |biller| {
            biller.state = CiamState::Active;
            biller.active_from = Some(now);
            biller.settings.passwords = job.passwords;
            biller.settings.oidc = Some(oidc);
        });
        changed.await.map_err(EnableError::from)?;
        tx.commit().await?;
        tracing::info!(job = job.id, biller = %biller.slug, "a biller was enabled");
        Ok(())
    }

    async fn step(&self, job: &Job, kind: &str) -> Result<Option<Step>, Stop> {
        Ok(ledger::steps(&self.db, &job.id).await?.into_iter().find(|step| step.kind == kind))
    }
}

/// Things that a job makes under ids of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Pool,
    Connection,
    Client,
    Claim,
}

impl Thing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Connection => "connection",
            Self::Client => "client",
            Self::Claim => "claim",
        }
    }
}

/// What is needed to make them.
struct Making<'a> {
    management: &'a Management,
    ids: &'a Ids,
    name: &'a str,
    mode: CiamMode,
    secret: &'a str,
    redirect_uri: Url,
    signed_out: Url,
    backchannel_logout: Url,
}

impl Making<'_> {
    fn id(&self, thing: Thing) -> &str {
        match thing {
            Thing::Pool => &self.ids.pool,
            Thing::Connection => &self.ids.connection,
            Thing::Client => &self.ids.client,
            Thing::Claim => &self.ids.claim,
        }
    }

    async fn is_there(&self, thing: Thing) -> Result<bool, CallError> {
        let (management, id) = (self.management, self.id(thing));
        match thing {
            Thing::Pool => Ok(management.pool(id).await?.is_some()),
            Thing::Connection => management.has_connection(&self.ids.organization, id).await,
            Thing::Client => management.has_client(id).await,
            Thing::Claim => management.has_claim(&self.ids.organization, id).await,
        }
    }

    async fn create(&self, thing: Thing) -> Result<(), CallError> {
        let (management, id, organization) = (self.management, self.id(thing), self.ids.organization.as_str());
        match thing {
            Thing::Pool => management.create_pool(id, organization, self.name, self.mode.mechanisms()).await.map(drop),
            Thing::Connection => management.create_connection(organization, id, &self.ids.pool).await,
            Thing::Client => {
                let new = NewClient {
                    organization,
                    client_id: id,
                    name: self.name,
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

/// What a job leaves on the organization it makes.
fn tag(job: &Job) -> String {
    format!("Signpost {}", job.id)
}

/// Nobody knows whether it went well: the job goes on later, and looks.
fn later(error: CallError) -> Stop {
    Stop::Later(error.into())
}

/// A refusal ends the way forward; no answer does not.
fn failed(error: &CallError) -> Stop {
    match error {
        CallError::Refused(refusal) => Stop::Failed(format!("SecureAuth refuses: {refusal}")),
        other => later(other.clone()),
    }
}
