//! What settings that name addresses may be, in the file and in the directory: hosts, URLs, contacts and names for display.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// A URL that customers or our own calls are sent to: https, or http on this machine if `allow_loopback`.
pub fn check_url(url: &Url, allow_loopback: bool) -> Result<(), &'static str> {
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
        "http" if allow_loopback => {}
        _ => return Err("must be an https URL"),
    }
    match address {
        _ if is_here => {
            if allow_loopback {
                Ok(())
            } else {
                Err("must not be an address of this machine")
            }
        }
        Some(ip) if !is_public_address(ip) => Err("must not be a private, link-local or reserved IP address"),
        _ => Ok(()),
    }
}

/// Whether an address is globally reachable (IANA special-purpose address registries, RFC 6890).
pub fn is_public_address(ip: IpAddr) -> bool {
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
            assert_eq!(check_url(&Url::parse(good).unwrap(), false), Ok(()), "{good}");
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
            assert!(check_url(&url, false).is_err(), "{bad}");
        }
        for local in ["http://localhost:8080/x", "http://127.0.0.1:9993/in", "http://a.localhost/"] {
            assert_eq!(check_url(&Url::parse(local).unwrap(), true), Ok(()), "{local}");
        }
        assert!(check_url(&Url::parse("http://169.254.169.254/").unwrap(), true).is_err());
        assert!(check_url(&Url::parse("http://10.0.0.1/").unwrap(), true).is_err());
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
