//! The way back: what the job has made, or may have made, goes, in reverse; what was there before stays as it was.

use super::forward::tag;
use super::ledger::{self, Job, JobState, Step, StepState, Stop};
use super::things::{Ids, Thing};
use super::work::later;
use super::{EnableError, Enablement, points};
use crate::audit::{Act, Action};
use crate::directory::Biller;
use crate::secureauth::management::{CallError, Management};
use signpost_core::decision::CiamState;

/// The reverse of the order in which things are made.
const ORDER: [&str; 5] = ["claim", "client", "connection", "pool", "organization"];

impl Enablement {
    pub(super) async fn back(&self, management: &Management, job: &Job, biller: &Biller) -> Result<(), Stop> {
        let ids = Ids::of(&biller.slug, job);
        let steps = ledger::steps(&self.db, &job.id).await?;
        let (mut stuck, mut left) = (Vec::new(), Vec::new());
        // What is refused may hang on to something that goes later: it is tried again when the rest is gone.
        for is_last in [false, true] {
            for kind in ORDER {
                let Some(step) = steps.iter().find(|step| step.kind == kind) else { continue };
                if is_last && !stuck.contains(&kind) {
                    continue;
                }
                self.renew(job).await?;
                points::pass(kind, "undoing");
                match self.undo(management, job, &ids, step).await {
                    Ok(()) => stuck.retain(|stuck| *stuck != kind),
                    Err(CallError::Refused(_)) if is_last && is_gone(management, &ids, kind).await? => {
                        stuck.retain(|stuck| *stuck != kind);
                    }
                    Err(CallError::Refused(refusal)) if is_last => {
                        left.push(format!("{kind} {} ({refusal})", step.object_id));
                    }
                    Err(CallError::Refused(_)) => stuck.push(kind),
                    Err(error) => return Err(Stop::Later(EnableError::Call(error))),
                }
                points::pass(kind, "gone");
                if step.state != StepState::Kept && !stuck.contains(&kind) {
                    self.put_step(job, &Step { state: StepState::Undone, ..step.clone() }).await?;
                    points::pass(kind, "undone");
                }
            }
        }
        let mut tx = self.db.begin().await?;
        let (state, message) = if left.is_empty() {
            (JobState::RolledBack, job.message.clone())
        } else {
            (JobState::NeedsAttention, format!("Left at SecureAuth: {}", left.join("; ")))
        };
        self.set_state(&mut tx, job, state, &message).await?;
        let (by, act) = (self.by_itself(), Act::of(Action::CiamUndone).about(&job.id).with("state", state.as_str()));
        let changed = self.directory.change_biller_in(&mut tx, &biller.slug, (&by, act), |biller| {
            biller.state = CiamState::Legacy;
            biller.active_from = None;
        });
        changed.await.map_err(EnableError::from)?;
        points::pass("return", "written");
        tx.commit().await?;
        points::pass("return", "done");
        tracing::warn!(job = job.id, biller = %biller.slug, state = state.as_str(), "an enablement was undone");
        Ok(())
    }

    async fn undo(&self, management: &Management, job: &Job, ids: &Ids, step: &Step) -> Result<(), CallError> {
        let id = step.object_id.as_str();
        match (step.kind.as_str(), step.state) {
            (_, StepState::Kept | StepState::Undone) => Ok(()),
            ("organization", StepState::Reactivated) => management.deactivate_organization(id, true).await,
            ("organization", StepState::Intended) => {
                // Only if it is ours: somebody else may have made it meanwhile.
                let found = management.organization(id).await?;
                let is_ours = found.is_some_and(|found| found.description == tag(job));
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

/// Whether it went with something that it belonged to.
async fn is_gone(management: &Management, ids: &Ids, kind: &str) -> Result<bool, Stop> {
    match Thing::ALL.into_iter().find(|thing| thing.as_str() == kind) {
        Some(thing) => Ok(!thing.is_there(management, ids).await.map_err(later)?),
        None => Ok(false),
    }
}
