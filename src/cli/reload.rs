//! `signpost reload`

use std::net::SocketAddr;

use anyhow::{Context, bail};
use clap::Args;

use super::operator::Global;
use super::output::Output;
use super::{CliResult, management};
use crate::config::Problems;
use crate::state::ReloadReport;
use crate::web::paths;

#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Address of the running gateway's management listener [default: server.management_listen of the settings]
    #[arg(long, value_name = "ADDRESS")]
    management: Option<SocketAddr>,
    #[arg(long, hide = true)]
    json: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(global: &Global, arguments: &Reload) -> CliResult {
    let listen = match arguments.management {
        Some(address) => address,
        None => super::load(&global.config).context("nothing was reloaded")?.server.management_listen,
    };
    let answer = management::send("POST", paths::RELOAD, listen).await?;
    if answer.has_status(503) {
        bail!("the gateway at {listen} is starting or stopping; nothing was reloaded");
    }
    let report: ReloadReport = serde_json::from_str(&answer.body)
        .with_context(|| format!("the gateway at {listen} cannot reload its settings: {}", answer.status))?;
    arguments.output.or_json(arguments.json).print(&report, || {
        let ReloadReport::Applied { changed, needs_restart } = &report else { return };
        let changed = if changed.is_empty() { "none".to_owned() } else { changed.join(", ") };
        outln!("The settings were reloaded. Sections that changed: {changed}");
        if !needs_restart.is_empty() {
            outln!("Restart Signpost to apply: {}", needs_restart.join(", "));
        }
    })?;
    match report {
        ReloadReport::Applied { .. } => Ok(()),
        ReloadReport::Rejected { problems } => {
            Err(Problems(problems)).context("nothing was reloaded; the previous settings stay in effect")
        }
    }
}
