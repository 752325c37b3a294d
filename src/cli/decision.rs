//! `signpost decision CODE`

use anyhow::bail;
use clap::Args;

use super::CliResult;
use super::operator::{Concerned, Global};
use crate::access::Scope;
use crate::audit::LookupResult;
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    let Arguments { reason, json, .. } = arguments;
    let Some(code) = ReferenceCode::parse(&arguments.code) else {
        bail!("{:?} is not a reference code; reference codes have 16 letters and digits", arguments.code);
    };
    let session = global.open(Some(Scope::DecisionsRead), Concerned::AsPermitted).await?;
    let actor = session.actor()?;
    let actor = reason.into_iter().fold(actor, |actor, reason| actor.because(reason));
    match session.state.decisions.look_up(code.as_str(), session.biller_scope(), &actor).await? {
        LookupResult::Recorded(entry) if json => outln!("{}", serde_json::to_string(&entry)?),
        LookupResult::Recorded(entry) => {
            outln!("{}  {}  {}", entry.code, entry.at, entry.kind);
            outln!("Shown:    {}", entry.response);
            if let Some(name) = &entry.username_mask {
                outln!("Username: {name}");
            }
            match serde_json::from_value::<Verdict>(entry.details["verdict"].clone()) {
                Ok(verdict) => outln!("{}", super::simulate::text(&verdict, entry.biller.as_deref())),
                Err(_) => outln!("{}", serde_json::to_string_pretty(&entry.details)?),
            }
        }
        LookupResult::NotRecorded(CodeKind::Page, at) => outln!("{code}: a page without a decision, at {at}"),
        LookupResult::NotRecorded(CodeKind::Row(row), at) => outln!("{code}: row {row}, at {at}; no details recorded"),
        LookupResult::NotRecorded(CodeKind::Error, at) => {
            outln!("{code}: an error page, at {at}; no details recorded")
        }
        LookupResult::UnknownCode => {
            bail!("unknown reference code {code}; check it for typing errors")
        }
    }
    Ok(())
}
