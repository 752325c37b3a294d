//! `signpost health`

use anyhow::bail;

use super::operator::Global;
use super::{CliResult, management};
use crate::web::paths;

pub(super) async fn run(global: &Global) -> CliResult {
    let listen = super::load(&global.config)?.server.management_listen;
    let answer = management::send("GET", paths::READYZ, listen).await?;
    outln!("{}", answer.body);
    if answer.has_status(200) { Ok(()) } else { bail!("the gateway is not ready: {}", answer.status) }
}
