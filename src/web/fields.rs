//! A strict parser for forms and query strings (`application/x-www-form-urlencoded`). It rejects bytes that are not UTF-8 and
//! broken percent encoding, and ignores fields that are given twice.

use percent_encoding::percent_decode;

/// Names under which links of the legacy site carry a return target, ours first.
const RETURN_PARAMETERS: [&str; 3] = ["return_to", "returnurl", "return_url"];

/// Fields in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// Not UTF-8, or a broken percent encoding.
    #[error("malformed")]
    Malformed,
}

impl Fields {
    /// Parses the body of a form or a query string.
    pub fn parse(text: &[u8]) -> Result<Self, FieldsError> {
        text.split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let mut parts = pair.splitn(2, |byte| *byte == b'=');
                let name = decode(parts.next().unwrap_or_default())?;
                Ok((name, decode(parts.next().unwrap_or_default())?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The field, if it is given exactly once.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        found.next().filter(|_| found.next().is_none())
    }

    /// The field, if it is given exactly once, in whatever case.
    pub fn get_ignore_case(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        found.next().filter(|_| found.next().is_none())
    }

    /// Where the customer goes after the sign-in, under our name or one of the legacy site, in whatever case.
    pub fn return_target(&self) -> Option<&str> {
        RETURN_PARAMETERS.iter().find_map(|name| self.get_ignore_case(name))
    }

    /// Whether any of these fields is given more than once, which RFC 6749, section 3.1 forbids.
    pub fn has_duplicates(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.iter().filter(|(n, _)| n == name).count() > 1)
    }

    /// All fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }
}

fn decode(text: &[u8]) -> Result<String, FieldsError> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let broken = spaced.iter().enumerate().any(|(at, byte)| {
        *byte == b'%' && !spaced.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Err(FieldsError::Malformed);
    }
    String::from_utf8(percent_decode(&spaced).collect()).map_err(|_| FieldsError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_input_is_rejected() {
        let fields = Fields::parse(b"a=1&b=x+y%20z&&c&a=2").unwrap();
        assert_eq!(fields.get("b"), Some("x y z"));
        assert_eq!(fields.get("c"), Some(""));
        assert_eq!(fields.get("a"), None, "given twice");
        assert!(fields.has_duplicates(&["b", "a"]));
        for bad in [&b"a=%zz"[..], b"a=%f", b"a=%ff%fe", b"\xff=1", b"a=%"] {
            assert_eq!(Fields::parse(bad), Err(FieldsError::Malformed), "{bad:?}");
        }
        assert_eq!(Fields::parse(b"&"), Ok(Fields::default()));
    }

    #[test]
    fn return_targets_have_the_names_of_the_legacy_site_too() {
        let target = |text: &str| Fields::parse(text.as_bytes()).unwrap().return_target().map(str::to_owned);
        for text in ["return_to=%2Fpay", "ReturnUrl=%2Fpay", "RETURN_URL=%2Fpay", "ReturnUrl=%2Fold&return_to=%2Fpay"] {
            assert_eq!(target(text).as_deref(), Some("/pay"), "{text}");
        }
        assert_eq!(target("ReturnUrl=%2Fa&returnurl=%2Fb"), None, "given twice");
    }
}
