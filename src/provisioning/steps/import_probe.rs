//! Finds out how a job can import users. SecureAuth documents neither the mode of its import nor its format of password hashes, so
//! one user is imported twice, the second time with another name, and read back.

use std::time::Duration;

use crate::directory::PasswordCarryOver;
use crate::provisioning::Provisioning;
use crate::provisioning::jobs::{LeasedJob, Step, StepState, StopReason, fail_or_retry, retry_later};
use crate::provisioning::sync::differences::name_patch;
use crate::provisioning::sync::import_method::{IMPORT_STEP, ImportMethod};
use crate::provisioning::sync::users::{self, DirectoryUser};
use crate::secureauth::management::{CallError, ImportCall, Management};

/// SecureAuth's reads may lag behind: the user is read this often, with [`READ_INTERVAL`] in between.
const MAX_READS: u32 = 3;
const READ_INTERVAL: Duration = Duration::from_millis(200);
/// Statuses that reject the method, the path or the parameters. Others reject the user or the caller.
const REFUSED: [u16; 4] = [400, 404, 405, 422];

impl Provisioning {
    /// The recorded method, or the first that a probe finds to work. None while the biller has no users.
    pub(super) async fn import_method(
        &self,
        management: &Management,
        job: &LeasedJob,
        pool: &str,
    ) -> Result<Option<ImportMethod>, StopReason> {
        if let Some(step) = self.step(job, IMPORT_STEP).await? {
            let parsed = ImportMethod::parse(&step.object_id);
            let unknown =
                || StopReason::Failed(format!("the job imports users by an unknown method: {}", step.object_id));
            return parsed.map(Some).ok_or_else(unknown);
        }
        let Some(user) = self.probe_user(job).await? else { return Ok(None) };
        let mut problems = Vec::new();
        for import in ImportCall::ALL {
            match self.probe(management, job, (pool, &user), import).await? {
                None => return self.record_method(job, ImportMethod::Import(import)).await.map(Some),
                Some(problem) => {
                    let problem = format!("{}: {problem}", import.as_str());
                    tracing::warn!(job = job.id, problem, "SecureAuth did not import a user");
                    problems.push(problem);
                }
            }
        }
        if self.credential(job.passwords, &user)?.is_some() {
            return Err(StopReason::Failed(format!(
                "SecureAuth did not import a user with a password hash ({}), and only an import takes hashes. \
                 If the hash is the reason, enable with --passwords reset-required.",
                problems.join("; ")
            )));
        }
        self.record_method(job, ImportMethod::SingleUsers).await.map(Some)
    }

    /// A user with a password hash, if hashes are imported and there is one.
    async fn probe_user(&self, job: &LeasedJob) -> Result<Option<DirectoryUser>, StopReason> {
        if job.passwords == PasswordCarryOver::Imported
            && let Some(user) = users::with_password(&self.db, &job.biller_id).await?
        {
            return Ok(Some(user));
        }
        Ok(users::page(&self.db, &job.biller_id, "", 1).await?.pop())
    }

    /// Imports a user twice. Returns why the call cannot import users, or None if the second import took effect.
    async fn probe(
        &self,
        management: &Management,
        job: &LeasedJob,
        (pool, user): (&str, &DirectoryUser),
        import: ImportCall,
    ) -> Result<Option<String>, StopReason> {
        let mut marked = user.clone();
        marked.first_name.push_str(" (import check)");
        for (stage, sent) in [("marked", &marked), ("sent", user)] {
            self.ledger.renew_lease(job).await?;
            let dump = self.dump(job.passwords, (management.tenant(), pool), std::slice::from_ref(sent))?;
            match management.import_users(import, &dump).await {
                Ok(()) => {}
                Err(CallError::Rejected(rejection)) if REFUSED.contains(&rejection.status) => {
                    return Ok(Some(rejection.to_string()));
                }
                Err(error) => return Err(fail_or_retry(&error)),
            }
            self.failpoints.hit("probe", stage);
        }
        let mut problem = None;
        for attempt in 0..MAX_READS {
            if attempt > 0 {
                tokio::time::sleep(READ_INTERVAL).await;
            }
            problem = match management.user(pool, &user.id).await.map_err(retry_later)? {
                Some(found) if name_patch(user, &found).is_empty() => None,
                Some(_) => Some("mode=update was ignored: a second import did not overwrite the user".to_owned()),
                None => Some("it was accepted, but the user does not exist".to_owned()),
            };
            if problem.is_none() {
                break;
            }
        }
        self.failpoints.hit("probe", "compared");
        Ok(problem)
    }

    async fn record_method(&self, job: &LeasedJob, method: ImportMethod) -> Result<ImportMethod, StopReason> {
        let (kind, object_id) = (IMPORT_STEP.to_owned(), method.as_str().to_owned());
        self.ledger.save_step(job, &Step { kind, object_id, state: StepState::Selected, sealed: None }).await?;
        self.failpoints.hit("probe", "recorded");
        tracing::info!(job = job.id, method = method.as_str(), "the method of the import is known");
        Ok(method)
    }
}
