//! The way forward: what is there is kept, what is missing is made, and at the end the routing is switched.

use super::ledger::{self, Job, JobState, Step, StepState, Stop};
use super::settings::pool_settings;
use super::things::{Ids, Making, Thing, USER_ID_CLAIM};
use super::work::{failed, later};
use super::{EnableError, Enablement, SUCCESS, points};
use crate::audit::{Act, Action};
use crate::directory::{Biller, BindTo, OidcSettings, TokenAuth};
use crate::secureauth::Wishes;
use crate::secureauth::management::{Management, PoolChange};
use signpost_core::Purpose;
use signpost_core::decision::CiamState;

impl Enablement {
    pub(super) async fn forward(&self, management: &Management, job: &mut Job, biller: &Biller) -> Result<(), Stop> {
        let ids = Ids::of(&biller.slug, job);
        let issuer = self.organization(management, job, biller, &ids).await?;
        let secret = self.client_secret(job, biller, &ids).await?;
        let opened = self.keys.open::<String>(Purpose::Storage, biller.id.as_str(), &secret);
        let opened = opened.map_err(|_| Stop::Failed("the client secret cannot be opened".to_owned()))?;
        let address = |path: String| self.public_url.join(&path).unwrap_or_else(|_| self.public_url.clone());
        let making = Making {
            management,
            ids: &ids,
            // One whose users sign in elsewhere has no means of its own.
            pool: PoolChange { mechanisms: Some(job.mode.mechanisms()), ..pool_settings(biller, job.mode) },
            secret: &opened,
            redirect_uri: address(format!("/callback/{}", biller.slug)),
            signed_out: address("/signed-out".to_owned()),
            backchannel_logout: address(format!("/backchannel-logout/{}", biller.slug)),
        };
        for thing in Thing::ALL {
            self.make(job, &making, thing).await?;
        }
        self.send_users(management, job, &ids.pool).await?;
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
        // What was there before stays, and stays switched off when the job is undone.
        let kept = |deactivated| if deactivated { StepState::Reactivated } else { StepState::Kept };
        points::pass("organization", "looked");
        let organization = match (known.map(|step| step.state), found) {
            (None, Some(found)) => {
                self.put_step(job, &step(kept(found.deactivated))).await?;
                found
            }
            (Some(StepState::Intended), Some(found)) if found.description != tag(job) => {
                // Somebody else made it between our look and our call.
                self.put_step(job, &step(kept(found.deactivated))).await?;
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
                points::pass("organization", "intended");
                match management.create_organization(id, &biller.name, &tag(job)).await {
                    Ok(made) => {
                        points::pass("organization", "made");
                        self.put_step(job, &step(StepState::Confirmed)).await?;
                        made
                    }
                    // Made by a call whose answer was lost, or by somebody else: the next look tells.
                    Err(error) if error.is(409) => return Err(later(error)),
                    Err(error) => return Err(failed(&error)),
                }
            }
        };
        points::pass("organization", "confirmed");
        if organization.deactivated {
            management.deactivate_organization(id, false).await.map_err(|error| failed(&error))?;
        }
        organization.issuer_url.ok_or_else(|| Stop::Failed(format!("the organization {id} has no issuer")))
    }

    /// Makes one thing: intent first, then the call, then the confirmation. After a kill in between the exact id tells
    /// whether it is there: the ids hold a part of the job's, so what is there under one of them was made by this job.
    async fn make(&self, job: &Job, making: &Making<'_>, thing: Thing) -> Result<(), Stop> {
        self.renew(job).await?;
        let (kind, id) = (thing.as_str(), making.ids.thing(thing));
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
        points::pass(kind, "intended");
        if !thing.is_there(making.management, making.ids).await.map_err(later)? {
            match making.create(thing).await {
                Ok(()) => {}
                Err(error)
                    if error.is(409) && thing.is_there(making.management, making.ids).await.map_err(later)? => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        points::pass(kind, "made");
        step.state = StepState::Confirmed;
        self.put_step(job, &step).await?;
        points::pass(kind, "confirmed");
        Ok(())
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
        points::pass("activation", "ready");
        self.renew(job).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        self.set_state(&mut tx, job, JobState::Active, SUCCESS).await?;
        let (by, act) = (self.by_itself(), Act::of(Action::CiamActivated).about(&job.id));
        let changed = self.directory.change_biller_in(&mut tx, &biller.slug, (&by, act), |biller| {
            biller.state = CiamState::Active;
            biller.active_from = Some(now);
            biller.settings.passwords = job.passwords;
            biller.settings.oidc = Some(oidc);
        });
        changed.await.map_err(EnableError::from)?;
        points::pass("activation", "written");
        tx.commit().await?;
        points::pass("activation", "done");
        tracing::info!(job = job.id, biller = %biller.slug, "a biller was enabled");
        Ok(())
    }

    /// The step of the ledger, if it was begun.
    async fn step(&self, job: &Job, kind: &str) -> Result<Option<Step>, Stop> {
        Ok(ledger::steps(&self.db, &job.id).await?.into_iter().find(|step| step.kind == kind))
    }
}

/// What a job leaves on the organization it makes.
pub(super) fn tag(job: &Job) -> String {
    format!("Signpost {}", job.id)
}
