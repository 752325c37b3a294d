//! `signpost audit`

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::CliResult;
use super::operator::{Concerned, Global};
use crate::access::Scope;
use crate::audit::{Action, EventFilter, StoredEvent, list_events};
use signpost_core::{Slug, Timestamp};

const PAGE_SIZE: usize = 500;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this actor: an operating system account, an API key's id or name, a staff member's subject; or a kind of actor: `staff`, `key`, `cli`, `system`
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, such as `biller.updated`
    #[arg(long)]
    action: Option<String>,
    /// Only events of this biller
    #[arg(long)]
    biller: Option<Slug>,
    /// Only events since this time, such as 2026-11-22T08:00:00Z
    #[arg(long, value_parser = super::simulate::time)]
    since: Option<Timestamp>,
    /// Only events before this time
    #[arg(long, value_parser = super::simulate::time)]
    until: Option<Timestamp>,
    /// Maximum number of events, the newest first [default: 50 as text, else all]
    #[arg(long)]
    limit: Option<usize>,
    /// Readable text, JSON as of the API, one JSON object per line, or CSV
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Jsonl,
    Csv,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
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
    let session = global.open(Some(Scope::AuditRead), Concerned::AsPermitted).await?;
    let state = &session.state;
    let Arguments { actor, biller, since, until, .. } = arguments;
    let filter =
        EventFilter { actor, action, biller, biller_scope: session.biller_scope().map(<[Slug]>::to_vec), since, until };
    let format = arguments.format;
    let mut left = arguments.limit.unwrap_or(if format == Format::Text { 50 } else { usize::MAX });
    if format == Format::Csv {
        super::out(format_args!("{}", StoredEvent::csv_header()));
    }
    let mut before: Option<String> = None;
    let mut events = Vec::new();
    while left > 0 {
        let found = list_events(&state.db, &filter, before.as_deref(), left.min(PAGE_SIZE)).await?;
        let Some(last) = found.last() else { break };
        before = Some(last.id.clone());
        left -= found.len();
        for event in found {
            match format {
                Format::Json => events.push(event),
                Format::Csv => super::out(format_args!("{}", event.to_csv())),
                Format::Jsonl => outln!("{}", serde_json::to_string(&event)?),
                Format::Text => outln!("{}", text(&event)),
            }
        }
    }
    if format == Format::Json {
        outln!("{}", serde_json::json!({ "events": events }));
    }
    Ok(())
}

fn text(event: &StoredEvent) -> String {
    let more = [("at", &event.biller), ("about", &event.subject), ("because", &event.reason)];
    let more: String = more.iter().filter_map(|(word, value)| Some(format!("  {word} {}", value.as_ref()?))).collect();
    let details = match event.details.as_object() {
        Some(details) if !details.is_empty() => format!("  {}", event.details),
        _ => String::new(),
    };
    let actor = &event.actor;
    format!("{}  {} {} ({})  {}{more}{details}", event.at, actor.kind, actor.name, actor.principal, event.action)
}
