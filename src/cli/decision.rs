//! `signpost decision CODE`

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::CliResult;
use super::operator::{Concerned, Global};
use super::output::Output;
use crate::access::Scope;
use crate::audit::{LookupResult, StoredEntry};
use signpost_core::ReferenceCode;
use signpost_core::decision::Verdict;
use signpost_core::reference::CodeKind;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The reference code; spaces, dashes and case do not matter
    code: String,
    /// Reason for the lookup, for the audit trail
    #[arg(long)]
    reason: Option<String>,
    #[arg(long, hide = true)]
    json: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    let Arguments { reason, .. } = arguments;
    let output = arguments.output.or_json(arguments.json);
    let Some(code) = ReferenceCode::parse(&arguments.code) else {
        bail!("{:?} is not a reference code; reference codes have 16 letters and digits", arguments.code);
    };
    let session = global.open(Some(Scope::DecisionsRead), Concerned::AsPermitted).await?;
    let actor = session.actor()?;
    let actor = reason.into_iter().fold(actor, |actor, reason| actor.because(reason));
    match session.state.decisions.look_up(code.as_str(), session.biller_scope(), &actor).await? {
        LookupResult::Recorded(entry) => output.print(&entry, || print_entry(&entry)),
        LookupResult::NotRecorded(kind, at) => {
            let (kind, what) = match kind {
                CodeKind::Page => ("page".to_owned(), "a page without a decision".to_owned()),
                CodeKind::Row(row) => (format!("row {row}"), format!("row {row}; no details recorded")),
                CodeKind::Error => ("error".to_owned(), "an error page; no details recorded".to_owned()),
            };
            let answer = json!({ "code": code.to_string(), "at": at.to_string(), "kind": kind, "recorded": false });
            output.print(&answer, || outln!("{code}: {what}, at {at}"))
        }
        LookupResult::UnknownCode => {
            bail!("unknown reference code {code}; check it for typing errors")
        }
    }
}

fn print_entry(entry: &StoredEntry) {
    outln!("{}  {}  {}", entry.code, entry.at, entry.kind);
    outln!("Shown:    {}", entry.response);
    if let Some(name) = &entry.username_mask {
        outln!("Username: {name}");
    }
    match serde_json::from_value::<Verdict>(entry.details["verdict"].clone()) {
        Ok(verdict) => outln!("{}", super::simulate::text(&verdict, entry.biller.as_deref())),
        Err(_) => outln!("{:#}", entry.details),
    }
}
