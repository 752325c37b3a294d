//! `signpost jobs list|show|retry|cancel`

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::CliResult;
use super::operator::{Concerned, Global, Session};
use super::output::Output;
use crate::access::Scope;
use crate::api::responses::JobResponse;
use crate::directory::{Billers, PasswordCarryOver};
use crate::provisioning::{CiamMode, EnablementOptions, Job, JobState, ProvisioningError, Step};
use signpost_core::Slug;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<JobsCommand>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List jobs with the resources that they created, the newest first
    #[command(after_help = "Example: signpost jobs list --state needs_attention")]
    List(List),
    /// Show a job
    #[command(after_help = "Example: signpost jobs show 0191d2f2-7c4e-7d6c-8b3a-3f0e5a7f9d10 --format json")]
    Show(OneJob),
    /// Enable the biller of a failed job again, with the options of that job
    #[command(after_help = "Example: signpost jobs retry 0191d2f2-7c4e-7d6c-8b3a-3f0e5a7f9d10")]
    Retry(OneJob),
    /// Cancel a running job and roll back what it created
    #[command(after_help = "Example: signpost jobs cancel 0191d2f2-7c4e-7d6c-8b3a-3f0e5a7f9d10")]
    Cancel(OneJob),
}

#[derive(Debug, Args)]
struct List {
    /// Only jobs of this biller
    #[arg(long, value_name = "SLUG")]
    biller: Option<Slug>,
    /// Only jobs in this state
    #[arg(long, value_parser = state)]
    state: Option<JobState>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct OneJob {
    /// Id of the job
    id: String,
    #[command(flatten)]
    output: Output,
}

fn state(text: &str) -> Result<JobState, String> {
    let names = JobState::ALL.map(JobState::as_str).join(", ");
    let known = JobState::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| format!("expected one of {names}"))
}

/// A job with what operators need besides the response of the API.
#[derive(Serialize)]
struct JobDetails {
    #[serde(flatten)]
    job: JobResponse,
    mode: CiamMode,
    passwords: PasswordCarryOver,
    created_at: String,
    ended_at: Option<String>,
    problem: String,
    steps: Vec<StepDetails>,
}

#[derive(Serialize)]
struct StepDetails {
    kind: String,
    state: &'static str,
    object_id: String,
}

#[derive(Serialize)]
struct JobList {
    jobs: Vec<JobDetails>,
}

impl JobDetails {
    fn new(job: &Job, billers: &Billers, steps: Vec<Step>) -> Self {
        let steps = steps.into_iter();
        Self {
            job: response(job, billers),
            mode: job.mode,
            passwords: job.passwords,
            created_at: job.created_at.to_string(),
            ended_at: job.ended_at.map(|at| at.to_string()),
            problem: job.problem.clone(),
            steps: steps
                .map(|step| StepDetails { kind: step.kind, state: step.state.as_str(), object_id: step.object_id })
                .collect(),
        }
    }
}

pub(super) fn response(job: &Job, billers: &Billers) -> JobResponse {
    JobResponse::new(job, billers.by_id(&job.biller_id).map(|biller| biller.slug.clone()))
}

pub(super) fn job_line(job: &Job, biller: &str) -> String {
    let (state, message) = (job.state.as_str(), job.display_message());
    format!("{}  {biller}  {state}  {}/{} users  {}  {message}", job.id, job.done, job.total, job.reference())
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    match arguments.command.unwrap_or(JobsCommand::List(arguments.list)) {
        JobsCommand::List(filter) => list(global, filter).await,
        JobsCommand::Show(OneJob { id, output }) => show(global, &id, output).await,
        JobsCommand::Retry(OneJob { id, output }) => retry(global, &id, output).await,
        JobsCommand::Cancel(OneJob { id, output }) => cancel(global, &id, output).await,
    }
}

async fn list(global: &Global, filter: List) -> CliResult {
    let concerned = filter.biller.as_ref().map_or(Concerned::All, Concerned::One);
    let state = global.open(Some(Scope::BillersRead), concerned).await?.state;
    let billers = state.directory.billers().await?;
    let wanted = match &filter.biller {
        Some(slug) => Some(billers.by_slug(slug).with_context(|| format!("there is no biller {slug}"))?.id.clone()),
        None => None,
    };
    let mut jobs = state.provisioning.jobs().await.map_err(ProvisioningError::from)?;
    jobs.retain(|job| {
        wanted.as_ref().is_none_or(|id| job.biller_id == *id) && filter.state.is_none_or(|state| job.state == state)
    });
    if jobs.is_empty() && !filter.output.is_json() {
        eprintln!("no jobs yet; start one with `signpost enable SLUG`");
    }
    let mut details = Vec::new();
    for job in &jobs {
        let steps = state.provisioning.steps(job).await.map_err(ProvisioningError::from)?;
        details.push(JobDetails::new(job, &billers, steps));
    }
    let list = JobList { jobs: details };
    filter.output.print(&list, || {
        for (job, details) in jobs.iter().zip(&list.jobs) {
            print_job(job, details, &billers);
        }
    })
}

fn print_job(job: &Job, details: &JobDetails, billers: &Billers) {
    let biller = billers.by_id(&job.biller_id).map_or("", |biller| biller.slug.as_str());
    outln!("{}  {}", job.created_at, job_line(job, biller));
    if !job.problem.is_empty() {
        outln!("    problem: {}", job.problem);
    }
    for step in &details.steps {
        outln!("    {:<12} {:<11} {}", step.kind, step.state, step.object_id);
    }
}

async fn show(global: &Global, id: &str, output: Output) -> CliResult {
    let (session, job, slug) = find(global, id, Scope::BillersRead).await?;
    session.require_biller(&slug)?;
    let billers = session.state.directory.billers().await?;
    let steps = session.state.provisioning.steps(&job).await.map_err(ProvisioningError::from)?;
    let details = JobDetails::new(&job, &billers, steps);
    output.print(&details, || print_job(&job, &details, &billers))
}

async fn retry(global: &Global, id: &str, output: Output) -> CliResult {
    let (session, job, slug) = find(global, id, Scope::CiamWrite).await?;
    match job.state {
        JobState::RolledBack | JobState::NeedsAttention => {}
        JobState::Active => bail!("the job succeeded: there is nothing to retry"),
        JobState::Queued | JobState::Running | JobState::RollingBack => {
            bail!("the job is {}; `signpost jobs cancel {id}` cancels it", job.state.as_str())
        }
    }
    let options = EnablementOptions { mode: job.mode, passwords: job.passwords };
    let job = session.state.provisioning.start(&slug, options, &session.actor()?).await?;
    print_one(&session, &job, &slug, output).await
}

async fn cancel(global: &Global, id: &str, output: Output) -> CliResult {
    let (session, job, slug) = find(global, id, Scope::CiamWrite).await?;
    if job.state.is_final() {
        bail!("the job has ended: it is {}", job.state.as_str());
    }
    let job = session.state.provisioning.cancel(&slug, &session.actor()?).await?.unwrap_or(job);
    print_one(&session, &job, &slug, output).await
}

async fn print_one(session: &Session, job: &Job, slug: &Slug, output: Output) -> CliResult {
    let billers = session.state.directory.billers().await?;
    output.print(&response(job, &billers), || outln!("{}", job_line(job, slug.as_str())))
}

/// A job and the slug of its biller, which the operator may see.
async fn find(global: &Global, id: &str, scope: Scope) -> Result<(Session, Job, Slug), anyhow::Error> {
    let session = global.open(Some(scope), Concerned::AsPermitted).await?;
    let unknown = || format!("there is no job {id}; `signpost jobs list` shows the latest");
    let job = session.state.provisioning.job(id).await.map_err(ProvisioningError::from)?.with_context(unknown)?;
    let billers = session.state.directory.billers().await?;
    let slug = billers.by_id(&job.biller_id).map(|biller| biller.slug.clone()).with_context(unknown)?;
    session.require_biller(&slug)?;
    Ok((session, job, slug))
}
