//! The client's address: the peer's, or what a trusted proxy says of it. Nothing else is taken from forwarded headers.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// The peer of the connection, set by the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address. `X-Forwarded-For` is read from its end as far as proxies are trusted; anything that is not an
/// address ends the reading there.
pub fn address(peer: Option<Peer>, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
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
        assert_eq!(seen("203.0.113.9", "198.51.100.1"), "203.0.113.9", "an untrusted peer says nothing");
        assert_eq!(seen("10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(
            seen("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2"),
            "198.51.100.1",
            "what the client wrote is not reached"
        );
        assert_eq!(seen("10.0.0.1", "a"), "10.0.0.1");
    }
}
