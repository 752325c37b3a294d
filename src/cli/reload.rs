//! `signpost reload`

use std::net::SocketAddr;

use anyhow::{Context, bail};
use clap::Args;

use super::operator::Global;
use super::{CliResult, management};
use crate::config::Problems;
use crate::state::ReloadReport;
use crate::web::paths;

#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Address of the running gateway's management listener [default: server.management_listen of the settings]
    #[arg(long, value_name = "ADDRESS")]
    management: Option<SocketAddr>,
    /// Print the report as one line of JSON
    #[arg(long)]
    json: bool,
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
    if arguments.json {
        outln!("{}", serde_json::to_string(&report)?);
    }
    match report {
        ReloadReport::Applied { changed, needs_restart } => {
            if !arguments.json {
                let changed = if changed.is_empty() { "none".to_owned() } else { changed.join(", ") };
                outln!("The settings were reloaded. Sections that changed: {changed}");
                if !needs_restart.is_empty() {
                    outln!("Restart Signpost to apply: {}", needs_restart.join(", "));
                }
            }
            Ok(())
        }
        ReloadReport::Rejected { problems } => {
            Err(Problems(problems)).context("nothing was reloaded; the previous settings stay in effect")
        }
    }
}
