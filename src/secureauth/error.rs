//! Errors of an identity provider.

use super::http::HttpClientError;

/// Responses that contradict the registration.
pub(super) const SETUP_FAULTS: [&str; 14] = [
    // The clocks differ, since the token has just been issued.
    "expired",
    "iat_in_future",
    "iat_too_old",
    "nbf_in_future",
    "discovery_algorithm_mismatch",
    "discovery_endpoint_not_allowed",
    "discovery_issuer_mismatch",
    "discovery_no_token_endpoint",
    "discovery_reserved_parameter",
    "invalid_algorithm",
    "invalid_endpoint_url",
    "private_address",
    "private_key_published",
    "weak_key",
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No connection, a TLS error, a timeout, or a 5xx.
    #[error("the identity provider did not respond ({0})")]
    Unavailable(&'static str),
    /// A 429, or a 503 that says when to try again.
    #[error("the identity provider is overloaded and asks to try again after {seconds} s")]
    Throttled { status: u16, seconds: u16 },
    /// The provider rejected the request because of the registration, such as with `invalid_client` (RFC 6749, section 5.2).
    #[error("the identity provider rejected the registration ({0})")]
    Setup(&'static str),
    /// The provider rejected this sign-in, such as with `invalid_grant`.
    #[error("the identity provider rejected the sign-in ({0})")]
    Rejected(&'static str),
    /// The response fails a check.
    #[error("the identity provider's response is invalid ({0})")]
    InvalidResponse(&'static str),
}

/// In characters. Details hold what a provider or a browser sent.
const MAX_DETAIL_LENGTH: usize = 500;

/// An invalid response. Logs what differs: `detail` names both values, and no secret.
pub(super) fn invalid_response(reason: &'static str, detail: &str) -> ProviderError {
    log_detail(reason, detail);
    ProviderError::InvalidResponse(reason)
}

pub(super) fn log_detail(reason: &'static str, detail: &str) {
    let detail: String = detail.chars().take(MAX_DETAIL_LENGTH).collect();
    tracing::warn!(reason, detail, "the provider's response contradicts the registration or the request");
}

impl ProviderError {
    pub(super) const INVALID_CLIENT: Self = Self::Setup("invalid_client");

    /// The reason, if the registration or the provider is set up wrong: every customer meets it, and no customer can help it.
    /// It is not an outage.
    pub fn setup_fault(&self) -> Option<&'static str> {
        match self {
            Self::Setup(reason) => Some(reason),
            Self::InvalidResponse(reason) if SETUP_FAULTS.contains(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether this counts as a failure of the issuer. Only failures of Signpost's own calls do, since a browser could fake the
    /// others.
    pub fn is_issuer_failure(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Throttled { status: 503, .. })
    }

    /// Whether nothing answered: the issuer is away, or the network of this instance.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unavailable("connect" | "dns" | "timeout"))
    }

    /// Whether documents that were read earlier stay usable: the current ones cannot be read, which says nothing about the
    /// earlier ones. A document that can be read and contradicts the registration counts.
    pub fn allows_cached_documents(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Throttled { .. } => true,
            Self::InvalidResponse(reason) => {
                matches!(
                    *reason,
                    "server_error"
                        | "unexpected_status"
                        | "unexpected_redirect"
                        | "discovery_malformed"
                        | "jwks_malformed"
                        | "response_too_large"
                )
            }
            Self::Setup(_) | Self::Rejected(_) => false,
        }
    }

    /// A code for logs and decision records.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(reason)
            | Self::Setup(reason)
            | Self::Rejected(reason)
            | Self::InvalidResponse(reason) => reason,
            Self::Throttled { .. } => "throttled",
        }
    }
}

impl From<HttpClientError> for ProviderError {
    fn from(error: HttpClientError) -> Self {
        match error {
            HttpClientError::Unavailable(reason) => Self::Unavailable(reason),
            HttpClientError::Throttled { status, seconds } => Self::Throttled { status, seconds },
            HttpClientError::Rejected(reason) => Self::InvalidResponse(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::secureauth::token_errors::SETUP_ERRORS;

    #[test]
    fn every_setup_fault_is_in_docs_reference_diagnosis() {
        let page = include_str!("../../docs/reference/diagnosis.md");
        let documented: BTreeSet<&str> = page
            .lines()
            .filter(|line| line.contains("| `error-setup-fault` |"))
            .filter_map(|line| line.split('`').nth(1))
            .collect();
        let others = ["par_rejected", "claim_missing", "client_secret_unreadable"];
        let expected: BTreeSet<&str> = SETUP_FAULTS.into_iter().chain(SETUP_ERRORS).chain(others).collect();
        assert_eq!(documented, expected);
    }
}
