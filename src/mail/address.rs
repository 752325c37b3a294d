//! The mail addresses that Signpost writes to: plain ones. An address that two mail systems could read differently is rejected.

use lettre::Address;

/// The longest address that fits an SMTP path (RFC 5321, section 4.5.3.1.3).
const MAX_BYTES: usize = 254;

/// Parses an address without quotes, comments, literals, routes and control characters, whose domain has a dot.
pub(super) fn parse_plain(text: &str) -> Option<Address> {
    let (local, domain) = text.split_once('@')?;
    let is_valid_local = |b: u8| b.is_ascii_alphanumeric() || b"!#$&'*+-/=?^_{|}~.`".contains(&b);
    let is_valid_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let plain = text.len() <= MAX_BYTES
        && local.bytes().all(is_valid_local)
        && !local.starts_with('-')
        && domain.contains('.')
        && domain.split('.').all(is_valid_label);
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_accepted() {
        for valid in ["ana@mail.example", "Ana.B+bills@Mail.Example", "o'neil@x-y.example", "a_b@1.example"] {
            assert_eq!(parse_plain(valid).map(|address| address.to_string()).as_deref(), Some(valid));
        }
        for invalid in [
            "",
            "ana",
            "@mail.example",
            "ana@",
            "ana@localhost",
            "ana@mail.example\r\nBcc: eve@evil.example",
            "ana@mail.example\nBcc: eve@evil.example",
            "ana@mail.example,eve@evil.example",
            "ana@mail.example;eve@evil.example",
            "ana@mail.example eve@evil.example",
            "ana@@mail.example",
            "ana@mail.example@evil.example",
            "\"ana\"@mail.example",
            "\"a\r\nDATA\"@mail.example",
            "<ana@mail.example>",
            "Ana <ana@mail.example>",
            "ana(comment)@mail.example",
            "ana%evil.example@mail.example",
            "@relay.example:ana@mail.example",
            "ana@[127.0.0.1]",
            "ana@mail..example",
            ".ana@mail.example",
            "-oQ/tmp@mail.example",
            "ana@-mail.example",
            "ana@mail.example.",
            "аna@mail.example",
            "ana@m\u{0}ail.example",
            &format!("{}@mail.example", "a".repeat(65)),
            &format!("ana@{}example", "mail.".repeat(60)),
        ] {
            assert_eq!(parse_plain(invalid), None, "{invalid:?}");
        }
    }
}
