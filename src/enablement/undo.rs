//! The way back: what the job has made, or may have made, goes, in reverse; what was there before stays as it was.

use super::ledger::{self, Job, JobState, Step, StepState, Stop};
use super::things::Ids;
use super::{EnableError, Enablement, points};
use crate::decision::CiamState;
use crate::directory::Biller;
use crate::secureauth::management::{CallError, Management};

/// The reverse of the order in which things are made.
const ORDER: [&str; 5] = ["claim", "client", "connection", "pool", "organization"];

impl Enablement {
    pub(super) async fn back(&self, management: &Management, job: &Job, biller: &Biller) -> Result<(), Stop> {
        let ids = Ids::of(&biller.slug, job);
        let steps = ledger::steps(&self.db, &job.id).await?;
        let mut stuck = Vec::new();
        for kind in ORDER {
            let Some(step) = steps.iter().find(|step| step.kind == kind) else { continue };
            self.renew(job).await?;
            points::pass(kind, "undoing");
            match self.undo(management, job, &ids, step).await {
                Ok(()) => {}
                Err(CallError::Refused(refusal)) => stuck.push(format!("{kind} {} ({refusal})", step.object_id)),
                Err(error) => return Err(Stop::Later(EnableError::Call(error))),
            }
            points::pass(kind, "gone");
            let undone = !matches!(step.state, StepState::Kept) && !stuck.iter().any(|text| text.starts_with(kind));
            if undone {
                self.put_step(job, &Step { state: StepState::Undone, ..step.clone() }).await?;
                points::pass(kind, "undone");
            }
        }
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let (state, message) = if stuck.is_empty() {
            (JobState::RolledBack, job.message.clone())
        } else {
            (JobState::NeedsAttention, format!("Left at SecureAuth: {}", stuck.join("; ")))
        };
        self.set_state(&mut tx, job, state, &message).await?;
        let changed = self.directory.change_biller_in(&mut tx, &biller.slug, now, |biller| {
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
                let is_ours = found.is_some_and(|found| found.description == format!("Signpost {}", job.id));
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
