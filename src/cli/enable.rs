//! `signpost enable|suspend|resume|jobs`

use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::CliResult;
use super::operator::{Concerned, Global};
use crate::access::Scope;
use crate::directory::PasswordCarryOver;
#[cfg(feature = "standin")]
use crate::provisioning::Failpoints;
use crate::provisioning::{
    CONFIRM_MESSAGE, CiamMode, EnablementOptions, Job, JobState, Provisioning, ProvisioningError,
};
use signpost_core::Slug;

#[derive(Debug, Args)]
pub(super) struct Enable {
    /// Slug of the biller
    slug: Slug,
    /// How its users will sign in
    #[arg(long, value_enum, default_value = "password")]
    mode: Mode,
    /// Import passwords, or require every user to set a new one
    #[arg(long, value_enum, default_value = "imported")]
    passwords: Passwords,
    /// Wait for the job and show its progress
    #[arg(long)]
    watch: bool,
    /// Cancel the running job and roll back what it created
    #[arg(long, conflicts_with_all = ["mode", "passwords"])]
    cancel: bool,
    /// Kill the process at this failpoint of the job, for crash tests.
    #[cfg(feature = "standin")]
    #[arg(long, hide = true, requires = "watch")]
    failpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    Password,
    Mfa,
    Sso,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Passwords {
    Imported,
    ResetRequired,
}

pub(super) async fn run(global: &Global, arguments: Enable) -> CliResult {
    let session = global.open(Some(Scope::CiamWrite), Concerned::One(&arguments.slug)).await?;
    let (provisioning, actor) = (&session.state.provisioning, session.actor()?);
    let job = if arguments.cancel {
        match provisioning.cancel(&arguments.slug, &actor).await? {
            Some(job) => job,
            None => bail!("{} has no running job", arguments.slug),
        }
    } else {
        let order = EnablementOptions {
            mode: match arguments.mode {
                Mode::Password => CiamMode::Password,
                Mode::Mfa => CiamMode::Mfa,
                Mode::Sso => CiamMode::Sso,
            },
            passwords: match arguments.passwords {
                Passwords::Imported => PasswordCarryOver::Imported,
                Passwords::ResetRequired => PasswordCarryOver::ResetRequired,
            },
        };
        let job = provisioning.start(&arguments.slug, order, &actor).await?;
        eprintln!("{CONFIRM_MESSAGE}");
        job
    };
    outln!("job {}", job.id);
    if !arguments.watch {
        return Ok(());
    }
    let worker = provisioning.clone();
    #[cfg(feature = "standin")]
    let worker = match arguments.failpoint {
        Some(name) => worker.with_failpoints(Failpoints::kill_at(name)),
        None => worker,
    };
    watch_job(worker, &job.id, &arguments.slug).await
}

/// Shows the progress of a job. Runs a worker as well, for installations without a running instance.
async fn watch_job(provisioning: Provisioning, id: &str, slug: &Slug) -> CliResult {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} users  {elapsed}  {msg}") {
        bar.set_style(style);
    }
    let worker = {
        let provisioning = provisioning.clone();
        tokio::spawn(Provisioning::run_job_worker(move || provisioning.clone(), CancellationToken::new()))
    };
    let job = loop {
        let Some(job) = provisioning.job(id).await.map_err(ProvisioningError::from)? else {
            bail!("there is no job {id}")
        };
        bar.set_length(job.total.unsigned_abs());
        bar.set_position(job.done.unsigned_abs());
        bar.set_message(job.display_message().to_owned());
        if job.state.is_final() {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    worker.abort();
    bar.finish_and_clear();
    outln!("{}", job_line(&job, slug.as_str()));
    if job.state == JobState::Active {
        return Ok(());
    }
    bail!("{} Reference: {}", job.display_message(), job.reference())
}

fn job_line(job: &Job, biller: &str) -> String {
    let (state, message) = (job.state.as_str(), job.display_message());
    format!("{}  {biller}  {state}  {}/{} users  {}  {message}", job.id, job.done, job.total, job.reference())
}

pub(super) async fn jobs(global: &Global) -> CliResult {
    let state = global.open(Some(Scope::BillersRead), Concerned::All).await?.state;
    let billers = state.directory.billers().await?;
    let jobs = state.provisioning.jobs().await.map_err(ProvisioningError::from)?;
    if jobs.is_empty() {
        eprintln!("no jobs yet; start one with `signpost enable SLUG`");
    }
    for job in jobs {
        let biller = billers.by_id(&job.biller_id).map_or("", |biller| biller.slug.as_str());
        outln!("{}  {}", job.created_at, job_line(&job, biller));
        if !job.problem.is_empty() {
            outln!("    problem: {}", job.problem);
        }
        for step in state.provisioning.steps(&job).await.map_err(ProvisioningError::from)? {
            outln!("    {:<12} {:<11} {}", step.kind, step.state.as_str(), step.object_id);
        }
    }
    Ok(())
}

pub(super) async fn suspend(global: &Global, slug: &Slug) -> CliResult {
    let session = global.open(Some(Scope::CiamWrite), Concerned::One(slug)).await?;
    session.state.provisioning.suspend(slug, &session.actor()?).await?;
    outln!("{slug} is suspended: its users go to the legacy login; nothing was deleted");
    Ok(())
}

pub(super) async fn resume(global: &Global, slug: &Slug) -> CliResult {
    let session = global.open(Some(Scope::CiamWrite), Concerned::One(slug)).await?;
    session.state.provisioning.resume(slug, &session.actor()?).await?;
    outln!("{slug} is active again");
    Ok(())
}
