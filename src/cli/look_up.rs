//! `signpost decision CODE`

use std::path::Path;

use anyhow::bail;
use clap::Args;

use super::Done;
use crate::audit::Found;
use signpost_core::ReferenceCode;
use signpost_core::decision::Verdict;
use signpost_core::reference::Kind;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The code, as the person reads it out.
    code: String,
    /// Why, for the audit trail.
    #[arg(long)]
    reason: Option<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Path, arguments: Arguments) -> Done {
    let Arguments { reason, json, .. } = arguments;
    let Some(code) = ReferenceCode::parse(&arguments.code) else {
        bail!("{:?} is not a reference code: one has 16 letters and digits", arguments.code);
    };
    let state = super::open(config).await?.state;
    let by = super::by(&state)?;
    let by = reason.into_iter().fold(by, |by, reason| by.because(reason));
    match state.decisions.look_up(code.as_str(), None, &by).await? {
        Found::Entry(entry) if json => say!("{}", serde_json::to_string(&entry)?),
        Found::Entry(entry) => {
            say!("{}  {}  {}", entry.code, entry.at, entry.kind);
            say!("Shown:    {}", entry.shown);
            if let Some(name) = &entry.name_mask {
                say!("Username: {name}");
            }
            match serde_json::from_value::<Verdict>(entry.details["verdict"].clone()) {
                Ok(verdict) => say!("{}", super::simulate::text(&verdict, entry.biller.as_deref())),
                Err(_) => say!("{}", serde_json::to_string_pretty(&entry.details)?),
            }
        }
        Found::NotRecorded(Kind::Page, at) => say!("{code}: a page without a decision, shown at {at}"),
        Found::NotRecorded(Kind::Row(row), at) => say!("{code}: row {row}, at {at}; details not recorded"),
        Found::NotRecorded(Kind::Error, at) => say!("{code}: an error page, at {at}; details not recorded"),
        Found::NotOurs => bail!("{code} is not a code of this installation; please check it letter by letter"),
    }
    Ok(())
}
