//! `signpost health`

use anyhow::bail;
use serde_json::Value;

use super::operator::Global;
use super::output::Output;
use super::{CliResult, management};
use crate::web::paths;

pub(super) async fn run(global: &Global, output: Output) -> CliResult {
    let listen = super::load(&global.config)?.server.management_listen;
    let answer = management::send("GET", paths::READYZ, listen).await?;
    let readiness: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    output.print(&readiness, || print(&readiness))?;
    if answer.has_status(200) { Ok(()) } else { bail!("the gateway is not ready: {}", answer.status) }
}

fn print(readiness: &Value) {
    for (name, value) in readiness.as_object().into_iter().flatten() {
        outln!("{name}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
}
