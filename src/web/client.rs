//! The client's address: the peer of the connection or, behind a trusted proxy, the address that the proxy reports.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::access::Client;
use crate::config::{ClientAddressHeader, Config};

/// The peer of the connection, or the client that a proxy connects for (PROXY protocol). The listener sets it.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    Address(SocketAddr),
    /// A connection to a Unix socket, by its number. The permissions of the socket decide who that can be: a trusted proxy.
    UnixSocket(u64),
}

impl Peer {
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.ip().to_canonical()),
            Self::UnixSocket(_) => None,
        }
    }

    /// Whether the peer's report of the client's address is trusted.
    pub(super) fn is_trusted(self, proxies: &[IpNet]) -> bool {
        self.ip().is_none_or(|ip| proxies.iter().any(|net| net.contains(&ip)))
    }

    /// The client of requests without a report that can be read.
    fn connection(self) -> Client {
        match self {
            Self::Address(address) => Client::Connection(address),
            Self::UnixSocket(number) => Client::UnixConnection(number),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(ip) => ip.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

/// The client that sent the request.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub Client);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress
where
    Arc<Config>: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let server = &Arc::<Config>::from_ref(state).server;
        let Some(peer) = parts.extensions.get::<Peer>().copied() else {
            return Ok(Self(Client::Address(Ipv4Addr::UNSPECIFIED.into())));
        };
        let client = address(peer, &parts.headers, &server.trusted_proxies, server.client_address_header);
        Ok(Self(client.map_or_else(
            |unreadable| {
                report(peer, &unreadable, server.client_address_header);
                peer.connection()
            },
            Client::Address,
        )))
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies whose header was reported as unreadable. More than these are a misconfigured network, not more news.
const MAX_REPORTED: usize = 1000;

/// Why a proxy's report names no client.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    Entry(String),
    /// The proxy sends this header, which is not the one of the settings.
    OtherHeader(HeaderName),
    /// The proxy at a Unix socket sends no header.
    Missing,
}

/// Reads the header from its end, as long as the sender is a trusted proxy. The first entry from elsewhere is the client: what
/// precedes it was written by others.
fn address(
    peer: Peer,
    headers: &HeaderMap,
    trusted: &[IpNet],
    header: ClientAddressHeader,
) -> Result<IpAddr, Unreadable> {
    let mut current = peer.ip();
    let is_trusted = |ip: Option<IpAddr>| ip.is_none_or(|ip| trusted.iter().any(|net| net.contains(&ip)));
    let (read, other) = match header {
        ClientAddressHeader::XForwardedFor => (FORWARDED_FOR, header::FORWARDED),
        ClientAddressHeader::Forwarded => (header::FORWARDED, FORWARDED_FOR),
    };
    if is_trusted(current) && !headers.contains_key(&read) && headers.contains_key(&other) {
        return Err(Unreadable::OtherHeader(other));
    }
    let lines = headers.get_all(&read).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let text = lines.collect::<Vec<_>>().join(",");
    for hop in split(&text, ',').into_iter().rev().filter(|hop| !hop.is_empty()) {
        if !is_trusted(current) {
            break;
        }
        let node = match header {
            ClientAddressHeader::XForwardedFor => Some(hop),
            ClientAddressHeader::Forwarded => forwarded_for(hop),
        };
        let ip = node.and_then(parse_node).ok_or_else(|| Unreadable::Entry(hop.to_owned()))?;
        current = Some(ip.to_canonical());
    }
    current.ok_or(Unreadable::Missing)
}

/// Splits at a separator outside of quoted strings.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let parts = text.split(move |c: char| {
        let ends = c == separator && !is_quoted;
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = c == '\\' && is_quoted && !is_escaped;
        ends
    });
    parts.map(str::trim).collect()
}

/// The `for` parameter of an element of `Forwarded` (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<&str> {
    let pairs = split(element, ';').into_iter().filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, value)| value.trim());
    values.next().filter(|_| values.next().is_none())
}

/// An address as proxies and load balancers write it: `203.0.113.7`, `203.0.113.7:51234`, `2001:db8::1`, `[2001:db8::1]` or
/// `[2001:db8::1]:51234`, perhaps quoted, perhaps with a zone. `unknown` and obfuscated names are no addresses.
fn parse_node(node: &str) -> Option<IpAddr> {
    let node = node.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(node).trim();
    let is_port = |port: &str| {
        let obfuscated = port.strip_prefix('_').is_some_and(|name| !name.is_empty());
        obfuscated || (!port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()))
    };
    let without_zone = |address: &str| address.split('%').next().unwrap_or_default().parse().ok();
    if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_valid = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return is_valid.then(|| without_zone(address)).flatten().map(IpAddr::V6);
    }
    if let Some((address, _)) = node.split_once(':').filter(|(_, port)| is_port(port))
        && let Ok(address) = address.parse::<Ipv4Addr>()
    {
        return Some(address.into());
    }
    node.parse().ok().or_else(|| without_zone(node).map(IpAddr::V6))
}

/// Logs once per proxy what it sends.
fn report(proxy: Peer, unreadable: &Unreadable, expected: ClientAddressHeader) {
    static REPORTED: LazyLock<Mutex<HashSet<Option<IpAddr>>>> = LazyLock::new(Mutex::default);
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.len() >= MAX_REPORTED || !reported.insert(proxy.ip()) {
        return;
    }
    match unreadable {
        Unreadable::Entry(entry) => {
            let entry: String = entry.chars().filter(|c| !c.is_control()).take(100).collect();
            tracing::error!(%proxy, header = expected.as_str(), entry, "a trusted proxy sends a client address that cannot be read; its requests count per connection");
        }
        Unreadable::OtherHeader(sent) => {
            tracing::error!(%proxy, expected = expected.as_str(), sent = sent.as_str(), "a trusted proxy sends another header than server.client_address_header; its requests count per connection");
        }
        Unreadable::Missing => {
            tracing::error!(%proxy, expected = expected.as_str(), "the proxy at the Unix socket does not send server.client_address_header; its requests count per connection");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: ClientAddressHeader = ClientAddressHeader::XForwardedFor;

    fn seen(from: &str, header: ClientAddressHeader, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8:ffff::/48".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header.as_str(), line.parse().unwrap());
        }
        let peer = match from {
            "unix" => Peer::UnixSocket(1),
            ip => Peer::Address(SocketAddr::new(ip.parse().unwrap(), 1)),
        };
        address(peer, &headers, &trusted, header).map_or_else(|error| format!("{error:?}"), |ip| ip.to_string())
    }

    #[test]
    fn forwarded_for_is_honoured_from_trusted_proxies_only() {
        assert_eq!(seen("203.0.113.9", PORTS, &["198.51.100.1"]), "203.0.113.9", "an untrusted peer is not believed");
        assert_eq!(seen("10.0.0.1", PORTS, &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            seen("10.0.0.1", PORTS, &["6.6.6.6, 198.51.100.1, 10.0.0.2"]),
            "198.51.100.1",
            "the entry that the client wrote is not read"
        );
        assert_eq!(seen("10.0.0.1", PORTS, &["6.6.6.6", "198.51.100.1:51234", "10.0.0.2:1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", PORTS, &["nonsense, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", PORTS, &[]), "10.0.0.1", "the proxy's own requests");
        assert_eq!(seen("unix", PORTS, &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(seen("unix", PORTS, &[]), "Missing");
    }

    #[test]
    fn every_form_of_proxies_and_load_balancers_is_read() {
        for (entry, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51234", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:51234", "2001:db8::7"),
            ("\"[2001:db8::7]:51234\"", "2001:db8::7"),
            ("\"203.0.113.7:51234\"", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
            ("fe80::1%eth0", "fe80::1"),
            ("203.0.113.7:_hidden", "203.0.113.7"),
        ] {
            assert_eq!(seen("10.0.0.1", PORTS, &[entry]), address, "{entry}");
            let quoted = format!("for=\"{}\"", entry.trim_matches('"'));
            assert_eq!(seen("10.0.0.1", ClientAddressHeader::Forwarded, &[&quoted]), address, "{quoted}");
        }
        let forwarded = |line| seen("10.0.0.1", ClientAddressHeader::Forwarded, &[line]);
        assert_eq!(forwarded("for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60");
        assert_eq!(forwarded("For=\"[2001:db8:cafe::17]:4711\""), "2001:db8:cafe::17");
        assert_eq!(forwarded("for=6.6.6.6, for=192.0.2.43;host=\"a,b;c\" , For=10.0.0.9"), "192.0.2.43");
    }

    #[test]
    fn unreadable_entries_name_no_client() {
        for entry in
            ["a", "unknown", "_hidden", "203.0.113.7:", "203.0.113.7:x", "[2001:db8::7", "203.0.113.300", "[::1]x"]
        {
            assert!(seen("10.0.0.1", PORTS, &[entry]).starts_with("Entry"), "{entry}");
        }
        for element in ["proto=https", "for=unknown", "for=_a", "for=1.2.3.4;for=5.6.7.8"] {
            assert!(seen("10.0.0.1", ClientAddressHeader::Forwarded, &[element]).starts_with("Entry"), "{element}");
        }
        let headers = HeaderMap::from_iter([(header::FORWARDED, "for=192.0.2.60".parse().unwrap())]);
        let read =
            address(Peer::Address("10.0.0.1:9".parse().unwrap()), &headers, &["10.0.0.0/8".parse().unwrap()], PORTS);
        assert_eq!(read, Err(Unreadable::OtherHeader(header::FORWARDED)));
    }
}
