//! `signpost audit`: who did what.

use std::path::Path;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::Done;
use crate::audit::{Action, StoredAct, Wanted, acts};
use signpost_core::{Slug, Timestamp};

/// Acts that are read at once.
const PART: usize = 500;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only by this actor: the account, the key's id or name, the subject of a member of staff; or `staff`, `key`, `cli`, `system`.
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, such as `biller.changed`.
    #[arg(long)]
    action: Option<String>,
    /// Only at this biller.
    #[arg(long)]
    biller: Option<Slug>,
    /// From this time on, such as 2026-11-22T08:00:00Z.
    #[arg(long, value_parser = super::simulate::time)]
    since: Option<Timestamp>,
    /// Before this time.
    #[arg(long, value_parser = super::simulate::time)]
    until: Option<Timestamp>,
    /// At most so many, the newest first [default: 50 as text, else all].
    #[arg(long)]
    limit: Option<usize>,
    /// For people, as one JSON object a line, or as a table.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Jsonl,
    Csv,
}

pub(super) async fn run(config: &Path, arguments: Arguments) -> Done {
    let action = match &arguments.action {
        None => None,
        Some(text) => match Action::parse(text) {
            Some(action) => Some(action),
            None => {
                let all: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
                bail!("--action: expected one of {}", all.join(", "));
            }
        },
    };
    let state = super::open(config).await?.state;
    let Arguments { actor, biller, since, until, .. } = arguments;
    let wanted = Wanted { actor, action, biller, reach: None, since, until };
    let format = arguments.format;
    let mut left = arguments.limit.unwrap_or(if format == Format::Text { 50 } else { usize::MAX });
    if format == Format::Csv {
        super::say(format_args!("{}", StoredAct::heads()));
    }
    let mut before: Option<String> = None;
    while left > 0 {
        let found = acts(&state.db, &wanted, before.as_deref(), left.min(PART)).await?;
        let Some(last) = found.last() else { break };
        before = Some(last.id.clone());
        left -= found.len();
        for act in &found {
            match format {
                Format::Csv => super::say(format_args!("{}", act.cells())),
                Format::Jsonl => say!("{}", serde_json::to_string(act)?),
                Format::Text => say!("{}", text(act)),
            }
        }
    }
    Ok(())
}

fn text(act: &StoredAct) -> String {
    let more = [("at", &act.biller), ("about", &act.subject), ("because", &act.reason)];
    let more: String = more.iter().filter_map(|(word, value)| Some(format!("  {word} {}", value.as_ref()?))).collect();
    let details = match act.details.as_object() {
        Some(details) if !details.is_empty() => format!("  {}", act.details),
        _ => String::new(),
    };
    format!("{}  {} {}  {}{more}{details}", act.at, act.actor.kind, act.actor.name, act.action)
}
