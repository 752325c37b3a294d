//! What can go wrong with an identity provider.

use super::http::HttpClientError;

/// Why a call to a provider, or a check of its answer, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No answer: connection, TLS, timeout, or a 5xx.
    #[error("the identity provider does not answer ({0})")]
    Unavailable(&'static str),
    /// It refuses our own credentials (`invalid_client`, RFC 6749, section 5.2).
    #[error("the identity provider refuses our client credentials")]
    InvalidClient,
    /// It refuses this sign-in, such as by `invalid_grant`.
    #[error("the identity provider refuses this sign-in ({0})")]
    Rejected(&'static str),
    /// It answered something that must not be accepted.
    #[error("the identity provider's answer was refused ({0})")]
    InvalidResponse(&'static str),
}

impl ProviderError {
    /// Whether this counts against the issuer's health: only failures of our own calls do, since anyone could fake the
    /// others.
    pub fn is_issuer_failure(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::InvalidClient)
    }

    /// The reason in a word, for logs and records.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(reason) | Self::Rejected(reason) | Self::InvalidResponse(reason) => reason,
            Self::InvalidClient => "invalid_client",
        }
    }
}

impl From<HttpClientError> for ProviderError {
    fn from(error: HttpClientError) -> Self {
        match error {
            HttpClientError::Unavailable(reason) => Self::Unavailable(reason),
            HttpClientError::Rejected(reason) => Self::InvalidResponse(reason),
        }
    }
}
