//! `signpost impact`

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::billers::OneBiller;
use super::operator::{Concerned, Global};
use super::output::Output;
use super::{CliResult, import, simulate};
use crate::access::Scope;
use crate::audit::{Action, AuditEvent};
use crate::directory::Biller;
use crate::routing::{Impact, Outcome, Progress, ProposedChange};
use crate::state::AppState;
use signpost_core::decision::CiamState;
use signpost_core::{Rollout, Slug};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: ImpactCommand,
}

#[derive(Debug, Subcommand)]
enum ImpactCommand {
    /// Enable a biller, with its rollout
    #[command(after_help = "Example: signpost impact enable pinehill-gas")]
    Enable(OneBiller),
    /// Suspend a biller
    #[command(after_help = "Example: signpost impact suspend riverside-water --format json")]
    Suspend(OneBiller),
    /// Resume a biller
    #[command(after_help = "Example: signpost impact resume riverside-water")]
    Resume(OneBiller),
    /// Change the rollout of a biller
    #[command(after_help = "Example: signpost impact rollout riverside-water=10")]
    Rollout {
        /// Slug of the biller, and `all` or a percentage
        #[arg(value_name = "SLUG=PERCENT", value_parser = simulate::rollout)]
        rollout: (Slug, Rollout),
        #[command(flatten)]
        output: Output,
    },
    /// Import a biller file
    #[command(after_help = "Example: signpost impact billers billers.toml")]
    Billers {
        /// A .json or .toml file
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    let session = global.open(Some(Scope::Simulate), Concerned::All).await?;
    let state = &session.state;
    let actor = session.actor()?;
    let state_of = |state| ProposedChange { state: Some(state), rollout: None };
    let ((changed, event), output) = match arguments.command {
        ImpactCommand::Enable(OneBiller { slug, output }) | ImpactCommand::Resume(OneBiller { slug, output }) => {
            (changed_biller(state, &slug, &state_of(CiamState::Active)).await?, output)
        }
        ImpactCommand::Suspend(OneBiller { slug, output }) => {
            (changed_biller(state, &slug, &state_of(CiamState::Suspended)).await?, output)
        }
        ImpactCommand::Rollout { rollout: (slug, wish), output } => {
            (changed_biller(state, &slug, &ProposedChange { state: None, rollout: Some(wish) }).await?, output)
        }
        ImpactCommand::Billers { file, output } => {
            let context = import::import_context(&session)?;
            let changed = state.directory.preview_billers(import::read_billers(&file)?, &context).await?;
            ((changed, AuditEvent::new(Action::ImpactPreviewed).with("change", "a file of billers")), output)
        }
    };
    actor.record_alone(&state.db, event).await?;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} usernames  {elapsed}, {eta} to go") {
        bar.set_style(style);
    }
    let on_progress = |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    };
    let impact = state.routing.impact(&changed, &on_progress).await?;
    bar.finish_and_clear();
    output.print(&impact, || print(&impact))
}

async fn changed_biller(
    state: &AppState,
    slug: &Slug,
    change: &ProposedChange,
) -> Result<(Vec<Biller>, AuditEvent), anyhow::Error> {
    let known = state.directory.biller_by_slug(slug).await?.with_context(|| format!("there is no biller {slug}"))?;
    let after = change.apply_to(&known).map_err(|why| anyhow!(why))?;
    let event = AuditEvent::new(Action::ImpactPreviewed).at(slug).with("change", change.summary());
    Ok((vec![after], event))
}

fn print(impact: &Impact) {
    let Impact { usernames, changed, ambiguous, no_destination, transitions } = impact;
    outln!("{changed} of {usernames} usernames would get another destination");
    outln!("{ambiguous} would become ambiguous, {no_destination} would have no destination");
    for one in transitions {
        outln!(
            "{:>8}  {} → {}  for example {}",
            one.usernames,
            describe_outcome(one.from),
            describe_outcome(one.to),
            one.samples.join(", ")
        );
    }
}

fn describe_outcome(outcome: Outcome) -> String {
    format!("row {}, {}", outcome.row, outcome.decision.label())
}
