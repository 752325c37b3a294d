//! `signpost enable|suspend|resume`

use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::CliResult;
use super::billers::{OneBiller, known};
use super::controls::print_biller;
use super::jobs::{self, job_line};
use super::operator::{Concerned, Global, Session};
use super::output::{Confirmation, Output};
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
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Suspend {
    #[command(flatten)]
    biller: OneBiller,
    #[command(flatten)]
    confirmation: Confirmation,
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
    if !arguments.watch {
        return print_job(&session, &job, arguments.output).await;
    }
    if !arguments.output.is_json() {
        outln!("job {}", job.id);
    }
    let worker = provisioning.clone();
    #[cfg(feature = "standin")]
    let worker = match arguments.failpoint {
        Some(name) => worker.with_failpoints(Failpoints::kill_at(name)),
        None => worker,
    };
    let job = watch_job(worker, &job.id).await?;
    let billers = session.state.directory.billers().await?;
    let response = jobs::response(&job, &billers);
    arguments.output.print(&response, || outln!("{}", job_line(&job, arguments.slug.as_str())))?;
    if job.state == JobState::Active {
        return Ok(());
    }
    bail!("{} Reference: {}", job.display_message(), job.reference())
}

async fn print_job(session: &Session, job: &Job, output: Output) -> CliResult {
    let billers = session.state.directory.billers().await?;
    output.print(&jobs::response(job, &billers), || outln!("job {}", job.id))
}

/// Shows the progress of a job. Runs a worker as well, for installations without a running instance.
async fn watch_job(provisioning: Provisioning, id: &str) -> Result<Job, anyhow::Error> {
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
    Ok(job)
}

pub(super) async fn suspend(global: &Global, Suspend { biller, confirmation }: Suspend) -> CliResult {
    let OneBiller { slug, output } = biller;
    let session = global.open(Some(Scope::CiamWrite), Concerned::One(&slug)).await?;
    let users = session.state.directory.count_members(&known(&session.state, &slug).await?.id).await?;
    confirmation.offer(&format!("Send the {users} users of {slug} to the legacy login"))?;
    session.state.provisioning.suspend(&slug, &session.actor()?).await?;
    let is = "suspended: its users go to the legacy login; nothing was deleted";
    print_biller(&session, &slug, output, is).await
}

pub(super) async fn resume(global: &Global, OneBiller { slug, output }: OneBiller) -> CliResult {
    let session = global.open(Some(Scope::CiamWrite), Concerned::One(&slug)).await?;
    session.state.provisioning.resume(&slug, &session.actor()?).await?;
    print_biller(&session, &slug, output, "active again").await
}
