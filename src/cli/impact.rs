//! `signpost impact`: what would a change do to everybody?

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Done, import, simulate};
use crate::audit::{Act, Action};
use crate::directory::Biller;
use crate::routing::{Change, Impact, Place, Progress, RolloutWish};
use crate::state::AppState;
use signpost_core::Slug;
use signpost_core::decision::CiamState;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Text for people, or one JSON object.
    #[arg(long, value_enum, default_value = "text", global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum What {
    /// If a biller were enabled, for whom its rollout lets in.
    Enable {
        /// The biller.
        slug: Slug,
    },
    /// If a biller were switched off.
    Suspend {
        /// The biller.
        slug: Slug,
    },
    /// If a biller were switched on again.
    Resume {
        /// The biller.
        slug: Slug,
    },
    /// If a biller counted for others.
    Rollout {
        /// The biller, and `everybody` or a percentage.
        #[arg(value_name = "SLUG=PERCENT", value_parser = simulate::rollout)]
        rollout: (Slug, RolloutWish),
    },
    /// If a file of billers were imported.
    Billers {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) async fn run(config: &Path, arguments: Arguments) -> Done {
    let state = super::open(config).await?.state;
    let by = super::by(&state)?;
    let state_of = |state| Change { state: Some(state), rollout: None };
    let (changed, act) = match arguments.what {
        What::Enable { slug } | What::Resume { slug } => one(&state, &slug, &state_of(CiamState::Active)).await?,
        What::Suspend { slug } => one(&state, &slug, &state_of(CiamState::Suspended)).await?,
        What::Rollout { rollout: (slug, wish) } => {
            one(&state, &slug, &Change { state: None, rollout: Some(wish) }).await?
        }
        What::Billers { file } => {
            let tools = import::tools(&state)?;
            let changed = state.directory.preview_billers(import::read_billers(&file)?, &tools).await?;
            (changed, Act::of(Action::ImpactAsked).with("change", "a file of billers"))
        }
    };
    by.note_alone(&state.db, act).await?;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} usernames  {elapsed}, {eta} to go") {
        bar.set_style(style);
    }
    let told = |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    };
    let impact = state.routing.impact(&changed, &told).await?;
    bar.finish_and_clear();
    match arguments.format {
        Format::Json => say!("{}", serde_json::to_string(&impact)?),
        Format::Text => print(&impact),
    }
    Ok(())
}

async fn one(state: &AppState, slug: &Slug, change: &Change) -> Result<(Vec<Biller>, Act), anyhow::Error> {
    let known = state.directory.named(slug).await?.with_context(|| format!("there is no biller {slug}"))?;
    let after = change.applied(&known).map_err(|why| anyhow!(why))?;
    let act = Act::of(Action::ImpactAsked).at(slug).with("change", change.told());
    Ok((vec![after], act))
}

fn print(impact: &Impact) {
    let Impact { usernames, changed, ambiguous, dead_ended, moves } = impact;
    say!("{changed} of {usernames} usernames would be taken elsewhere");
    say!("{ambiguous} would become ambiguous, {dead_ended} would have nowhere to go");
    for one in moves {
        say!("{:>8}  {} → {}  such as {}", one.usernames, place(one.from), place(one.to), one.samples.join(", "));
    }
}

fn place(place: Place) -> String {
    format!("row {}, {}", place.row, place.decision.in_words())
}
