//! What can go wrong with an identity provider.

use super::http::HttpError;

/// Why a call to a provider, or a check of its answer, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No answer: connection, TLS, timeout, or a 5xx.
    #[error("the identity provider does not answer ({0})")]
    Unavailable(&'static str),
    /// It refuses our own credentials (`invalid_client`, RFC 6749, section 5.2).
    #[error("the identity provider refuses our client credentials")]
    ClientRejected,
    /// It refuses this sign-in, such as by `invalid_grant`.
    #[error("the identity provider refuses this sign-in ({0})")]
    Refused(&'static str),
    /// It answered something that must not be accepted.
    #[error("the identity provider's answer was refused ({0})")]
    NotAccepted(&'static str),
}

impl ProviderError {
    /// Whether this counts against the issuer's health: only failures of our own calls do, since anyone could fake the
    /// others.
    pub fn counts_against_issuer(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::ClientRejected)
    }

    /// The reason in a word, for logs and records.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(reason) | Self::Refused(reason) | Self::NotAccepted(reason) => reason,
            Self::ClientRejected => "invalid_client",
        }
    }
}

impl From<HttpError> for ProviderError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Unavailable(reason) => Self::Unavailable(reason),
            HttpError::Refused(reason) => Self::NotAccepted(reason),
        }
    }
}
