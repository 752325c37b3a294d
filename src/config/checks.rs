//! What settings that name addresses may be, in the file and in the directory: hosts, URLs, contacts and names for display.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

/// Characters that reorder or hide the text around them (Unicode Standard Annex 9).
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name or text that pages show.
pub fn check_display_text(text: &str) -> Result<(), &'static str> {
    let is_printable = !text.chars().any(|c| (c.is_control() && c != '\n') || is_bidi_control(c));
    if is_printable { Ok(()) } else { Err("must not contain control characters or bidirectional controls") }
}

/// Whether labels of letters, digits and hyphens make a host name (RFC 1123, section 2.1).
pub fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number)
}

/// One email address that a `mailto:` link can carry as it is: no headers, no list, no line break.
pub fn check_mail_address(text: &str) -> Result<(), &'static str> {
    let is_local = |local: &str| {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$'*+-/=^_`{|}~.".contains(&b);
        (1..=64).contains(&local.len()) && local.bytes().all(is_allowed)
    };
    let parts = text.split_once('@').filter(|(local, domain)| is_local(local) && domain.contains('.'));
    let is_address = parts.is_some_and(|(_, domain)| is_host_name(domain));
    if is_address { Ok(()) } else { Err("is not one email address such as help@example.com") }
}

/// A telephone number that a `tel:` link can carry.
pub fn check_phone(text: &str) -> Result<(), &'static str> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b" +-().,/#*".contains(&b);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_phone = text.len() <= 40 && digits >= 3 && text.bytes().all(is_allowed);
    if is_phone { Ok(()) } else { Err("is not a telephone number such as +1 555 010 0199") }
}

/// Which addresses customers and our own calls may be sent to besides public ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Permits http and this machine, for development.
    pub allow_loopback: bool,
    pub private_networks: Vec<IpNet>,
}

impl AddressPolicy {
    pub fn loopback(allow_loopback: bool) -> Self {
        Self { allow_loopback, private_networks: Vec::new() }
    }

    /// Whether a call may reach this address. Link-local addresses and cloud metadata services never may.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let is_private = || self.private_networks.iter().any(|network| network.contains(&ip)) && !is_metadata(ip);
        is_public_address(ip) || (self.allow_loopback && ip.is_loopback()) || is_private()
    }
}

/// The networks that `oidc.allow_private_networks` can name or contain parts of (RFC 1918, RFC 6598, RFC 4193).
const PRIVATE_NETWORKS: [(IpAddr, u8); 5] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];

pub(super) fn check_private_network(network: &IpNet) -> Result<(), &'static str> {
    let is_within = |(address, bits): &(IpAddr, u8)| {
        IpNet::new(*address, *bits)
            .is_ok_and(|private| private.contains(&network.addr()) && network.prefix_len() >= *bits)
    };
    if PRIVATE_NETWORKS.iter().any(is_within) {
        Ok(())
    } else {
        Err("is not within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7")
    }
}

/// Metadata services within private networks: Amazon, Google and Alibaba. Others have link-local addresses.
fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4 == Ipv4Addr::new(100, 100, 100, 200),
        IpAddr::V6(v6) => {
            v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
                || v6 == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

/// The host of an SMTP server. It may be in a private network or on this machine.
pub(super) fn check_mail_server(text: &str) -> Result<(), &'static str> {
    let is_usable = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(v4) => !(v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => !(v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast()),
    };
    match text.parse::<IpAddr>() {
        Ok(ip) if is_usable(ip) && !is_metadata(ip) => Ok(()),
        Ok(_) => Err("must not be a link-local, multicast or unspecified address"),
        Err(_) if is_host_name(text) => Ok(()),
        Err(_) => {
            Err("is not a host name such as mail.example.com; mail.port has the port and mail.tls the encryption")
        }
    }
}

/// A sender: an email address, or a name and an address as in `Example Pay <no-reply@example.com>` (RFC 5322, section 3.4).
pub(super) fn check_sender(text: &str) -> Result<(), &'static str> {
    let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name, address),
        None => ("", text.trim()),
    };
    let is_plain = check_display_text(name).is_ok() && !name.contains(['\n', '<', '>']);
    if is_plain && check_mail_address(address).is_ok() {
        Ok(())
    } else {
        Err("is not a sender such as no-reply@example.com or \"Example Pay <no-reply@example.com>\"")
    }
}

/// A URL that customers or our own calls are sent to: https, or http on this machine if the policy allows it.
pub fn check_url(url: &Url, addresses: &AddressPolicy) -> Result<(), &'static str> {
    let address = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        Some(Host::Domain(name)) if is_host_name(name.strip_suffix('.').unwrap_or(name)) => None,
        Some(Host::Domain(_)) | None => return Err("has no host name such as portal.example.com"),
    };
    let is_here = address.is_some_and(|ip| ip.to_canonical().is_loopback())
        || url.domain().is_some_and(|name| name == "localhost" || name.ends_with(".localhost"));
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password");
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment");
    }
    match url.scheme() {
        "https" => {}
        "http" if addresses.allow_loopback => {}
        _ => return Err("must be an https URL"),
    }
    match address {
        _ if is_here => {
            if addresses.allow_loopback {
                Ok(())
            } else {
                Err("must not be an address of this machine")
            }
        }
        Some(ip) if !addresses.allows(ip) => Err(
            "must not be a private, link-local or reserved IP address; oidc.allow_private_networks allows private ones",
        ),
        _ => Ok(()),
    }
}

/// Whether an address is globally reachable (IANA special-purpose address registries, RFC 6890).
fn is_public_address(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a == 192 && b == 0 && c == 0))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let first = ip.segments()[0];
    let second = ip.segments()[1];
    // Only 2000::/3 is global unicast. It contains 6to4, documentation and other special-purpose prefixes.
    (0x2000..0x4000).contains(&first) && first != 0x2002 && !(first == 0x2001 && (second == 0xdb8 || second < 0x200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_public_hosts_over_https() {
        for good in ["https://portal.example.com/in?x=1", "https://portal.example.com:8443/", "https://8.8.8.8/"] {
            assert_eq!(check_url(&Url::parse(good).unwrap(), &AddressPolicy::default()), Ok(()), "{good}");
        }
        for bad in [
            "http://portal.example.com/",
            "https://user@portal.example.com/",
            "https://u:p@portal.example.com/",
            "https://portal.example.com/#x",
            "javascript:alert(1)",
            "ftp://portal.example.com/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://169.254.169.254/latest",
            "https://[fe80::1]/",
            "https://10.0.0.1/",
            "https://[::ffff:169.254.169.254]/",
            "https://2852039166/",
            "https://0x7f.1/",
            "https://a_b.example/",
            "https://metadata.1/",
        ] {
            let Ok(url) = Url::parse(bad) else { continue };
            assert!(check_url(&url, &AddressPolicy::default()).is_err(), "{bad}");
        }
        for local in ["http://localhost:8080/x", "http://127.0.0.1:9993/in", "http://a.localhost/"] {
            assert_eq!(check_url(&Url::parse(local).unwrap(), &AddressPolicy::loopback(true)), Ok(()), "{local}");
        }
        assert!(check_url(&Url::parse("http://169.254.169.254/").unwrap(), &AddressPolicy::loopback(true)).is_err());
        assert!(check_url(&Url::parse("http://10.0.0.1/").unwrap(), &AddressPolicy::loopback(true)).is_err());
    }

    #[test]
    fn private_networks_are_allowed_by_name_only() {
        let network = |text: &str| text.parse::<IpNet>().unwrap();
        let private_networks = ["10.1.0.0/16", "fd00::/8", "100.64.0.0/10"].map(network).to_vec();
        let policy = AddressPolicy { private_networks, allow_loopback: false };
        for (ip, is_allowed) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("fd00:ec2::254", false),
            ("100.100.100.200", false),
            ("169.254.169.254", false),
            ("127.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(policy.allows(ip.parse().unwrap()), is_allowed, "{ip}");
        }
        assert_eq!(check_url(&Url::parse("https://10.1.2.3/").unwrap(), &policy), Ok(()));
        assert!(check_url(&Url::parse("http://10.1.2.3/").unwrap(), &policy).is_err(), "https all the same");
        for bad in ["0.0.0.0/0", "169.254.0.0/16", "127.0.0.0/8", "10.0.0.0/7", "8.8.8.0/24", "::/0", "fe80::/10"] {
            assert!(check_private_network(&network(bad)).is_err(), "{bad}");
        }
        for good in ["10.0.0.0/8", "10.1.2.3/32", "192.168.7.0/24", "fd12:3456::/32"] {
            assert_eq!(check_private_network(&network(good)), Ok(()), "{good}");
        }
    }

    #[test]
    fn mail_settings_name_one_host_and_one_sender() {
        for good in ["mail.example.com", "localhost", "relay", "10.0.0.25", "::1"] {
            assert_eq!(check_mail_server(good), Ok(()), "{good}");
        }
        for bad in
            ["smtp://mail.example.com", "mail.example.com:587", "a b", "", "169.254.169.254", "fe80::1", "0.0.0.0"]
        {
            assert!(check_mail_server(bad).is_err(), "{bad}");
        }
        for good in ["no-reply@example.com", "Example Pay <no-reply@example.com>", "\"Pay, Inc.\" <a@b.example>"] {
            assert_eq!(check_sender(good), Ok(()), "{good}");
        }
        for bad in [
            "Example Pay",
            "a@b.example, c@d.example",
            "X <a@b.example>\r\nBcc: <c@d.example>",
            "X <javascript:1@b.example>",
        ] {
            assert!(check_sender(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn contacts_fit_into_links() {
        for good in ["help@example.com", "o'neil+bills@mail.example.co.uk"] {
            assert_eq!(check_mail_address(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "help",
            "help@example",
            "a@b.example?subject=x",
            "a@b.example,c@d.example",
            "javascript:alert(1)@b.example",
            "a@b.example\r\nBcc: c@d.example",
            "<a@b.example>",
            "a b@c.example",
            "a@-b.example",
            "a@1.2.3.4",
            "a@b@c.example",
            "a%0d@b.example",
            "a&cc=c@d.example",
        ] {
            assert!(check_mail_address(bad).is_err(), "{bad:?}");
        }
        for good in ["911", "+1 (555) 010-0199", "1-800-FLOWERS", "555 0100 ext. 12"] {
            assert_eq!(check_phone(good), Ok(()), "{good}");
        }
        for bad in ["", "call us", "javascript:alert(123)", "+1 555\n010", "911;x=1", "911?x", "&lt;911"] {
            assert!(check_phone(bad).is_err(), "{bad:?}");
        }
        assert!(check_display_text("River\u{202e}side").is_err() && check_display_text("a\u{0}").is_err());
        assert_eq!(check_display_text("Ciudad de México – Agua"), Ok(()));
    }
}
