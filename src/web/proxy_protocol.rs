//! The PROXY protocol, versions 1 and 2: which client a proxy connects for. Its header comes before everything else.

use std::io::{self, ErrorKind};
use std::time::Duration;

use ipnet::IpNet;
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::client::Peer;
use crate::telemetry::OncePerMinute;
use crate::telemetry::metrics::{ConnectionRefusal, RefusedConnections};

/// A header fits into the first packet. This is enough to send that again.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses, and extensions (TLVs) such as the name of a TLS client certificate.
const MAX_HEADER_BYTES: usize = 4096;
/// `PROXY UNKNOWN\r\n`
const MIN_HEADER_BYTES: usize = 15;
/// Of version 2. The last two are the length of the rest.
const FIXED_BYTES: usize = 16;

/// Reads the header that every connection of a trusted proxy begins with, and returns the client as the peer. Other peers are
/// refused: what they write about themselves proves nothing, and without a header they are no clients of the proxy.
pub(super) async fn client(
    stream: &mut (impl AsyncRead + Unpin),
    peer: Peer,
    trusted: &[IpNet],
    refused: &RefusedConnections,
) -> io::Result<Peer> {
    static UNTRUSTED: OncePerMinute = OncePerMinute::new();
    static INVALID: OncePerMinute = OncePerMinute::new();
    if !peer.is_trusted(trusted) {
        refused.record(ConnectionRefusal::UntrustedPeer);
        if UNTRUSTED.is_due() {
            tracing::error!(
                %peer,
                "connections are refused: with server.proxy_protocol, only server.trusted_proxies may connect"
            );
        }
        return Err(io::Error::new(ErrorKind::PermissionDenied, "the peer is not in server.trusted_proxies"));
    }
    let read = timeout(HEADER_TIMEOUT, read_header(stream)).await.map_err(io::Error::from).flatten();
    let error = match read.and_then(|header| named_client(&header, peer)) {
        Ok(client) => return Ok(client),
        Err(error) => error,
    };
    // A connection that is closed without a byte only asks whether the port is open.
    if error.kind() != ErrorKind::ConnectionAborted {
        refused.record(ConnectionRefusal::ProxyHeader);
        if INVALID.is_due() {
            tracing::error!(
                %peer,
                %error,
                "connections are refused: with server.proxy_protocol, each begins with a PROXY header"
            );
        }
    }
    Err(error)
}

/// Without an address, the proxy connects for itself, as for a health check.
fn named_client(header: &ProxyHeader<'_>, peer: Peer) -> io::Result<Peer> {
    match header.proxied_address() {
        None => Ok(peer),
        Some(proxied) if proxied.protocol == Protocol::Stream => Ok(Peer::Address(proxied.source)),
        Some(_) => Err(invalid("it is not of a TCP connection")),
    }
}

/// Reads the header and nothing that follows it.
async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<ProxyHeader<'static>> {
    const WITHOUT_TLVS: ParseConfig = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let mut bytes = Vec::with_capacity(128);
    loop {
        let missing = missing_bytes(&bytes);
        if bytes.len() + missing > MAX_HEADER_BYTES {
            return Err(invalid("it is longer than 4096 bytes"));
        }
        if missing == 0 {
            return Err(invalid("its addresses are incomplete"));
        }
        if (&mut *stream).take(missing as u64).read_buf(&mut bytes).await? == 0 {
            return Err(match bytes.len() {
                0 => ErrorKind::ConnectionAborted.into(),
                _ => io::Error::new(ErrorKind::UnexpectedEof, "the header is incomplete"),
            });
        }
        match ProxyHeader::parse(&bytes, WITHOUT_TLVS) {
            Ok((header, _)) => return Ok(header.into_owned()),
            Err(proxy_header::Error::BufferTooShort) => {}
            Err(_) => return Err(invalid("it is missing or malformed")),
        }
    }
}

/// How many bytes certainly follow in a header that begins with `bytes`.
fn missing_bytes(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', ..] => match bytes.get(FIXED_BYTES - 2..FIXED_BYTES) {
            Some(&[high, low]) => FIXED_BYTES + usize::from(u16::from_be_bytes([high, low])) - bytes.len(),
            _ => FIXED_BYTES - bytes.len(),
        },
        // Version 1 ends with its line.
        _ => MIN_HEADER_BYTES.saturating_sub(bytes.len()).max(1),
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}
