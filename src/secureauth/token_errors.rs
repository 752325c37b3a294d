//! Errors of the token endpoint and of ID tokens, as provider errors.

use openidconnect::core::CoreErrorResponseType;
use openidconnect::{ClaimsVerificationError, RequestTokenError, SignatureVerificationError};

use super::{HttpClientError, ProviderError};

pub(super) fn token_error<T>(error: &RequestTokenError<HttpClientError, T>) -> ProviderError
where
    T: openidconnect::ErrorResponse + 'static + AsErrorType,
{
    match error {
        RequestTokenError::ServerResponse(response) => match response.error_type() {
            CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                ProviderError::InvalidClient
            }
            CoreErrorResponseType::InvalidGrant => ProviderError::Rejected("invalid_grant"),
            _ => ProviderError::Rejected("token_endpoint_error"),
        },
        RequestTokenError::Request(error) => (*error).into(),
        RequestTokenError::Parse(..) => ProviderError::InvalidResponse("token_response_malformed"),
        RequestTokenError::Other(_) => ProviderError::InvalidResponse("token_response_unusable"),
    }
}

/// The error code of a standard error response.
pub(super) trait AsErrorType {
    fn error_type(&self) -> &CoreErrorResponseType;
}

impl AsErrorType for openidconnect::StandardErrorResponse<CoreErrorResponseType> {
    fn error_type(&self) -> &CoreErrorResponseType {
        self.error()
    }
}

/// Why an ID token was not accepted.
pub(super) enum VerificationError {
    /// The keys may be outdated: one refetch is allowed.
    UnknownKey,
    Rejected(ProviderError),
}

impl VerificationError {
    pub(super) fn into_error(self) -> ProviderError {
        match self {
            Self::UnknownKey => ProviderError::InvalidResponse("unknown_key"),
            Self::Rejected(error) => error,
        }
    }
}

impl From<&ClaimsVerificationError> for VerificationError {
    fn from(error: &ClaimsVerificationError) -> Self {
        use ClaimsVerificationError as E;
        let reason = match error {
            E::SignatureVerification(SignatureVerificationError::NoMatchingKey) => return Self::UnknownKey,
            E::SignatureVerification(SignatureVerificationError::AmbiguousKeyId(_)) => "ambiguous_key",
            E::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => "invalid_algorithm",
            E::SignatureVerification(_) => "invalid_signature",
            E::Expired(_) => "expired",
            E::InvalidAudience(_) => "invalid_audience",
            E::InvalidIssuer(_) => "invalid_issuer",
            E::InvalidNonce(_) => "invalid_nonce",
            E::InvalidSubject(_) => "invalid_sub",
            _ => "id_token_rejected",
        };
        Self::Rejected(ProviderError::InvalidResponse(reason))
    }
}
