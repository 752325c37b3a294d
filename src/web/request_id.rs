//! Ids that join the lines of a request: its own id, and the trace id of W3C Trace Context. Both are taken from a request only if a
//! trusted proxy sent it.

use http::{HeaderMap, Request};
use ipnet::IpNet;

use super::client::Peer;
use crate::telemetry::traces::TraceParent;

pub const HEADER: &str = "x-request-id";
const MAX_LEN: usize = 128;

/// The id of a request, in the log and in the response header `X-Request-Id`.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The ids that the trusted proxy in front of us sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct IncomingIds {
    pub(super) request: Option<String>,
    /// `traceparent`.
    pub(super) parent: Option<String>,
    /// `tracestate`, which means nothing without the other.
    pub(super) state: Option<String>,
}

impl IncomingIds {
    pub(super) fn of<B>(request: &Request<B>, trusted: &[IpNet]) -> Self {
        if !request.extensions().get::<Peer>().is_some_and(|peer| peer.is_trusted(trusted)) {
            return Self::default();
        }
        let request_id = only(request.headers(), HEADER).filter(|id| is_request_id(id));
        let parent = only(request.headers(), "traceparent").filter(|header| trace_id(header).is_some());
        let state = parent.and_then(|_| only(request.headers(), "tracestate"));
        Self {
            request: request_id.map(str::to_owned),
            parent: parent.map(str::to_owned),
            state: state.map(str::to_owned),
        }
    }

    /// 32 hexadecimal digits.
    pub(super) fn trace_id(&self) -> Option<&str> {
        self.parent.as_deref().and_then(trace_id)
    }

    pub(super) fn trace_parent(&self) -> Option<TraceParent<'_>> {
        Some(TraceParent { parent: self.parent.as_deref()?, state: self.state.as_deref() })
    }
}

/// The value of a header that is sent once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether an id is one that proxies make: UUIDs, hexadecimal digits, base64.
fn is_request_id(id: &str) -> bool {
    (1..=MAX_LEN).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:=+/".contains(&b))
}

/// The trace id of a `traceparent` (W3C Trace Context, section 3.2). Later versions may append fields.
fn trace_id(header: &str) -> Option<&str> {
    let is_hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
    let mut parts = header.trim().splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let rest = parts.next();
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || rest.is_none())
        && is_hex(trace, 32)
        && !is_zero(trace)
        && is_hex(parent, 16)
        && !is_zero(parent)
        && is_hex(flags, 2);
    is_valid.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn incoming(peer: &str, headers: &[(&str, &str)]) -> IncomingIds {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(Peer::Address(peer.parse().unwrap()));
        IncomingIds::of(&request, &["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn ids_are_taken_from_a_trusted_proxy_only() {
        let parent = format!("00-{TRACE}-1111222233334444-01");
        let sent = [(HEADER, "7d9f-A_1.b:c=+/"), ("traceparent", parent.as_str())];
        let kept = incoming("10.0.0.1:9", &sent);
        assert_eq!((kept.request.as_deref(), kept.trace_id()), (Some("7d9f-A_1.b:c=+/"), Some(TRACE)));
        assert_eq!(incoming("203.0.113.9:9", &sent), IncomingIds::default());
    }

    #[test]
    fn malformed_ids_are_not_taken() {
        let long = "a".repeat(MAX_LEN + 1);
        for id in ["", "two words", "a\tb", "<script>", "a\"b", "a{b}", "ü", &long] {
            assert_eq!(incoming("10.0.0.1:9", &[(HEADER, id)]).request, None, "{id}");
        }
        assert_eq!(incoming("10.0.0.1:9", &[(HEADER, "a"), (HEADER, "b")]).request, None);
        let span = "1111222233334444";
        for (header, is_valid) in [
            (format!("00-{TRACE}-{span}-01"), true),
            (format!("01-{TRACE}-{span}-01-later"), true),
            (format!("00-{TRACE}-{span}-01-later"), false),
            (format!("ff-{TRACE}-{span}-01"), false),
            (format!("00-{}-{span}-01", TRACE.to_uppercase()), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
            (format!("00-{TRACE}-{span}"), false),
        ] {
            assert_eq!(trace_id(&header).is_some(), is_valid, "{header}");
        }
    }
}
