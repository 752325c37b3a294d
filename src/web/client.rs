//! The client's address: the peer of the connection or, behind a trusted proxy, the address that the proxy reports.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;

use crate::config::Config;

/// The peer of the connection. The accept loop sets it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The address of the client that sent the request.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress
where
    Arc<Config>: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let config = Arc::<Config>::from_ref(state);
        let peer = parts.extensions.get::<Peer>().copied();
        Ok(Self(address(peer, &parts.headers, &config.server.trusted_proxies)))
    }
}

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Reads `X-Forwarded-For` from its end, as long as the sender is a trusted proxy. Anything that is not an address ends the
/// reading.
fn address(peer: Option<Peer>, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut current = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip().to_canonical());
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    let hops = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect::<Vec<_>>();
    for hop in hops.into_iter().rev() {
        if !is_trusted(current) {
            break;
        }
        match hop.parse::<IpAddr>() {
            Ok(ip) => current = ip.to_canonical(),
            Err(_) => break,
        }
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_for_is_honoured_from_trusted_proxies_only() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = |text: &str| Some(Peer(SocketAddr::new(text.parse().unwrap(), 1)));
        let seen = |from: &str, forwarded: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_FOR, forwarded.parse().unwrap());
            address(peer(from), &headers, &trusted).to_string()
        };
        assert_eq!(seen("203.0.113.9", "198.51.100.1"), "203.0.113.9", "an untrusted peer is not believed");
        assert_eq!(seen("10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(
            seen("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2"),
            "198.51.100.1",
            "the entry that the client wrote is not read"
        );
        assert_eq!(seen("10.0.0.1", "a"), "10.0.0.1");
    }
}
