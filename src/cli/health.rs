//! `signpost health`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::CliResult;
use super::operator::Global;
use super::output::Output;
use crate::web::paths;

/// Longer than `/readyz` takes to find out that the database is away.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(global: &Global, output: Output) -> CliResult {
    let address = reachable(super::load(&global.config)?.server.management_listen);
    let answer = tokio::time::timeout(TIMEOUT, ask(address)).await;
    let answer = answer.with_context(|| format!("{address} (server.management_listen) did not answer in time"))?;
    let answer = answer.with_context(|| format!("cannot ask {address} (server.management_listen)"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let readiness: Value = serde_json::from_str(body).unwrap_or_default();
    output.print(&readiness, || print_readiness(&readiness))?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => bail!("the gateway is not ready: {}", head.lines().next().unwrap_or_default()),
    }
}

fn print_readiness(readiness: &Value) {
    for (name, value) in readiness.as_object().into_iter().flatten() {
        outln!("{name}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
}

/// Every address of the machine is listened on: the loopback address is one of them.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

async fn ask(address: SocketAddr) -> Result<String, std::io::Error> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", paths::READYZ);
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}
