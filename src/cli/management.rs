//! Requests to the management listener of a running gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than `/readyz` takes to find out that the database is away.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Answer {
    /// The status line.
    pub(super) status: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn has_status(&self, code: u16) -> bool {
        self.status.split(' ').nth(1).and_then(|own| own.parse().ok()) == Some(code)
    }
}

/// Sends a request without a body.
pub(super) async fn send(method: &str, path: &str, listen: SocketAddr) -> Result<Answer, anyhow::Error> {
    let address = reachable(listen);
    let answer = tokio::time::timeout(TIMEOUT, exchange(method, path, address)).await;
    let answer = answer.with_context(|| format!("{address} (server.management_listen) did not answer in time"))?;
    let answer = answer.with_context(|| {
        format!("cannot ask {address} (server.management_listen); is the gateway of these settings running?")
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(Answer { status: head.lines().next().unwrap_or_default().to_owned(), body: body.to_owned() })
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

async fn exchange(method: &str, path: &str, address: SocketAddr) -> Result<String, std::io::Error> {
    let mut connection = TcpStream::connect(address).await?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}
