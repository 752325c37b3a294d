//! Errors of an identity provider.

use super::http::HttpClientError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No connection, a TLS error, a timeout, or a 5xx.
    #[error("the identity provider did not respond ({0})")]
    Unavailable(&'static str),
    /// `invalid_client` (RFC 6749, section 5.2)
    #[error("the identity provider rejected the client credentials")]
    InvalidClient,
    /// The provider rejected this sign-in, such as with `invalid_grant`.
    #[error("the identity provider rejected the sign-in ({0})")]
    Rejected(&'static str),
    /// The response fails a check.
    #[error("the identity provider's response is invalid ({0})")]
    InvalidResponse(&'static str),
}

impl ProviderError {
    /// Whether this counts as a failure of the issuer. Only failures of Signpost's own calls do, since a browser could fake the
    /// others.
    pub fn is_issuer_failure(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::InvalidClient)
    }

    /// A code for logs and decision records.
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
